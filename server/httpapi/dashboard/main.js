import { attr, h, text } from './dom.js'
import { decoded, key, time } from './format.js'
import { follow, listen, live } from './live.js'
import { overview } from './overview.js'
import { queue } from './queue.js'
import { job } from './job.js'
import { aof, clients, config, slowlog } from './lists.js'

const views = { '': overview, queue, job, clients, slowlog, aof, config }
const main = document.getElementById('main')
const nav = document.getElementById('nav')
const status = document.getElementById('live')
const offline = document.getElementById('offline')
let view = null

// route is the view that the URL names, and what of it.
function route() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, '').split('/')
  return { name: Object.hasOwn(views, name) ? name : '', rest }
}

function navigate(first) {
  const { name, rest } = route()
  if (name === 'job') rest[0] = decoded(rest.join('/'))
  if ((name === 'queue' || name === 'job') && !rest[0]) {
    location.hash = '#/'
    return
  }
  view = views[name](rest)
  main.replaceChildren(view.el)
  main.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  document.title = `${view.title} · ${location.host} · Disqo`
  for (const a of nav.children) attr(a, 'aria-current', a.getAttribute('href') === `#/${name}` && 'page')
  nav.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  if (!first) (view.focus || main).focus({ preventScroll: true })
  update()
}

function update() {
  text(status, live.connected ? 'live' : live.node ? 'no connection' : 'connecting')
  attr(status, 'class', `live ${live.connected ? 'on' : ''}`)
  const lost = !live.connected && live.node !== null
  offline.hidden = !lost
  if (lost) text(offline, `No connection since ${time(live.since)}: what you see is old.${live.locked ? ' The node asks for a password: load the page anew.' : ''}`)
  attr(main, 'class', lost && 'old')
  if (live.node && view) view.update()
}

// go takes a job's id, or the name of a queue.
document.getElementById('go').addEventListener('submit', (e) => {
  e.preventDefault()
  const field = document.getElementById('goto')
  const wanted = field.value.trim()
  if (wanted === '') return
  field.value = ''
  location.hash = /^D-[0-9a-f]{8}-/.test(wanted) ? `#/job/${encodeURIComponent(wanted)}` : `#/queue/${key(wanted)}`
})

document.getElementById('skip').addEventListener('click', () => main.focus())

// The theme is the system's, unless somebody chose one.
const themes = ['auto', 'light', 'dark']
const themeButton = document.getElementById('theme')
const theme = () => document.documentElement.dataset.theme ?? 'auto'

function setTheme(name) {
  if (name === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
  text(themeButton, { auto: '◐', light: '☀', dark: '☾' }[name])
  attr(themeButton, 'aria-label', `Theme: ${name}`)
  attr(themeButton, 'title', `Theme: ${name}`)
}

themeButton.addEventListener('click', () => {
  setTheme(themes[(themes.indexOf(theme()) + 1) % themes.length])
  try {
    localStorage.setItem('theme', theme())
  } catch {
    // it is not kept then
  }
})

let stored = 'auto'
try {
  stored = localStorage.getItem('theme')
} catch {
  // there is none
}
setTheme(themes.includes(stored) ? stored : 'auto')

window.addEventListener('hashchange', () => navigate(false))
listen(update)
main.replaceChildren(h('p', { class: 'empty' }, 'Connecting…'))
navigate(true)
follow()
