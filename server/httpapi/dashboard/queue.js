import { act, ask, changed, everywhere, get, mayAct, notice, poll, where } from './api.js'
import { button, fill, h, keyed, row, table, text } from './dom.js'
import { count, decoded, rate, sameKey, short, shortJob, span } from './format.js'
import { backlog, flow, tiles } from './chart.js'
import { mark } from './overview.js'
import { live, now } from './live.js'

// A tab lists jobs of a state; some states are told apart here.
const tabs = [
  { name: 'next', label: 'Next' },
  { name: 'queued', label: 'Queued', state: 'queued' },
  { name: 'active', label: 'Active', state: 'active', only: (j) => !delayed(j) },
  { name: 'delayed', label: 'Delayed', state: 'active', only: (j) => delayed(j) },
  { name: 'dead', label: 'Dead', state: 'dead' },
  { name: 'wait-repl', label: 'Waiting for copies', state: 'wait-repl' },
  { name: 'acked', label: 'Acknowledged', state: 'acked' },
]

const pageSize = 50
const pagesAtOnce = 10 // of a scan that finds little

// delayed reports whether a job waits for the end of its delay or back-off.
export const delayed = (j) => j.state === 'active' && (j.backingOff > 0 || (j.delay > 0 && now() < j.ctime / 1e6 + j.delay * 1000))

const columns = [
  { name: 'id', label: 'Job', class: 'first' },
  { name: 'body', label: 'Body', class: 'body' },
  { name: 'priority', label: 'Priority', num: true },
  { name: 'tries', label: 'Tries', num: true },
  { name: 'age', label: 'Age', num: true },
  { name: 'next', label: 'Then', class: 'wide' },
]
const nextColumns = columns.slice(0, 2) // QPEEK says no more
const deadColumns = [...columns.slice(0, 5), { name: 'next', label: 'Reason', class: 'wide' }, { name: 'do', label: 'Do' }]

// path is that of a queue.
const path = (k) => `/v1/queues/${k}`

export const jobPath = (id) => `/v1/jobs/${encodeURIComponent(id)}`

const jobLink = (id) => `#/job/${encodeURIComponent(id)}`

// next says what will become of a job by itself, or why it is dead.
function next(j) {
  if (j.state === 'dead') return j.reason || '–'
  if (delayed(j)) return `queued in ${span(j.nextAwakeWithin ?? 0)}`
  if (j.state === 'active' && j.nextRequeueWithin) return `again in ${span(j.nextRequeueWithin)}`
  return ''
}

// jobRow makes the row of a job; kick is what its button does, if it has one.
function jobRow(columns, j, kick) {
  const r = row(columns)
  r.cells.id.append(h('a', { href: jobLink(j.id), title: j.id, class: 'mono' }, shortJob(j.id)))
  r.cells.body.append(h('code', null, j.encoding === 'base64' ? `base64 ${j.body}` : j.body))
  if (r.cells.do && mayAct()) r.cells.do.append(button('Kick', () => kick(j)))
  return r
}

function updateJob({ cells }, j) {
  if (!cells.age) return
  text(cells.priority, j.priority)
  text(cells.tries, `${j.tries}${j.maxTries > 0 ? ` of ${j.maxTries}` : ''}`)
  text(cells.age, span(now() - j.ctime / 1e6))
  text(cells.next, next(j))
}

const drafts = new Map() // what was typed to be added to a queue, by field

// adding is the form that adds a job.
function adding(k, done) {
  const field = (id, label, hint) => [h('label', { for: `add-${id}` }, label), h('input', { id: `add-${id}`, name: id, type: 'text', inputmode: 'numeric', placeholder: hint, autocomplete: 'off' })]
  const body = h('textarea', { id: 'add-body', name: 'body', rows: 4, spellcheck: 'false' })
  const options = [['priority', 'Priority', '1024'], ['delay', 'Delay, s', '0'], ['retry', 'Retry, s', '300'], ['ttl', 'TTL, s', '86400'], ['maxtries', 'Tries', 'no bound'], ['backoff', 'Back-off, s', '1,3600']]
  const form = h('form', { class: 'add', on: { submit: async (e) => {
    e.preventDefault()
    const query = new URLSearchParams()
    for (const [id] of options) {
      const value = form.elements[id].value.trim()
      if (value !== '') query.set(id, value)
    }
    if (await act('POST', `${path(k)}/jobs?${query}`, (a) => `Added ${a.id}.`, new Blob([body.value]))) {
      body.value = ''
      drafts.delete(k)
      body.focus()
      done()
    }
  } } },
    h('p', null, h('label', { for: 'add-body' }, 'Body'), body),
    h('div', { class: 'options' }, options.map(([id, label, hint]) => h('p', null, field(id, label, hint)))),
    h('p', { class: 'buttons' }, h('button', { class: 'primary' }, 'Add the job')))
  const draft = drafts.get(k)
  for (const [id, value] of draft ?? []) form.elements[id].value = value
  form.addEventListener('input', () => drafts.set(k, new FormData(form)))
  return h('details', { open: draft !== undefined }, h('summary', null, 'Add a job'), form)
}

let byKeys = false // the last tab was chosen by keys: the next has the focus

// What is shown of a queue that is not listed.
const nothing = { listed: false, live: false, queued: 0, active: 0, delayed: 0, dead: 0, oldest: 0, consumers: 0, pause: 'none', in: 0, out: 0 }

export function queue([typed, wanted]) {
  const k = sameKey(typed)
  const current = tabs.find((t) => t.name === wanted) ?? tabs[0]
  const title = decoded(k)
  const badges = h('span', { class: 'badges' })
  const actions = h('div', { class: 'buttons' })
  const figures = tiles([['queued', 'Queued'], ['active', 'Active'], ['delayed', 'Delayed'], ['dead', 'Dead'], ['oldest', 'Oldest'], ['in', 'In /s'], ['out', 'Out /s'],
    ['consumers', 'Waiting']])
  const totals = h('p', { class: 'muted' })
  const charts = [backlog(k), flow(k)]
  const graphs = h('div', { class: 'charts' }, charts.map((c) => c.el))
  const jobColumns = { next: nextColumns, dead: deadColumns }[current.name] ?? columns
  const jobs = table('Jobs', jobColumns)
  const empty = h('p', { class: 'empty' }, 'Loading…')
  let cursor = '0'
  let found = null // jobs that are shown; null: not yet
  let extended = false // somebody asked for more: they stay
  let seen = null // what was known of the queue when they were looked at
  let unlisted = { key: k, name: title, ...nothing }

  // there reports whether commands know the queue: it may be one that is not listed.
  const there = () => live.queues.get(k)?.live ?? live.node.queueCount > live.queues.size

  // scan reads pages until there is something to show.
  async function scan(from) {
    const list = []
    let at = from
    for (let i = 0; i < pagesAtOnce && list.length < pageSize; i++) {
      const answer = await get(`${path(k)}/jobs?state=${current.state}&cursor=${at}&count=${pageSize}`)
      list.push(...answer.jobs.filter(current.only ?? (() => true)))
      at = answer.cursor
      if (at === '0') break
    }
    return { list, at }
  }

  async function refresh() {
    if (current.name === 'next') {
      found = (await get(`${path(k)}/jobs:peek?count=${pageSize}`)).jobs
      cursor = '0'
    } else if (!extended) {
      const answer = await scan('0')
      found = answer.list
      cursor = answer.at
    }
    show()
  }

  const load = poll(current.only ? 3000 : 1000, () => refresh().catch((error) => {
    text(empty, error.message)
    empty.hidden = false
  }))

  const more = button('Show more', async () => {
    try {
      const answer = await scan(cursor)
      extended = true
      found.push(...answer.list)
      cursor = answer.at
      show()
    } catch (error) {
      notice(error.message, 'bad')
    }
  })
  more.hidden = true

  async function kick(j) {
    if (await act('POST', `${jobPath(j.id)}:kick`, changed('Queued again.'))) again()
  }

  function show() {
    if (found === null) return
    keyed(jobs.body, found, (j) => j.id, (j) => jobRow(jobColumns, j, kick), updateJob)
    jobs.el.hidden = found.length === 0
    empty.hidden = found.length > 0
    const what = current.name === 'next' ? 'queued' : current.label.toLowerCase()
    text(empty, cursor === '0' ? `No job is ${what}.` : `No job that was looked at so far is ${what}.`)
    more.hidden = cursor === '0'
  }

  // details reads what the events do not say, and all there is to say of a queue that is
  // not listed.
  const details = poll(1000, async () => {
    const q = there() ? await get(path(k)).catch(() => null) : null
    text(totals, q ? [['jobsIn', 'in'], ['jobsOut', 'out'], ['delivered', 'delivered'], ['acked', 'acknowledged'], ['nacked', 'given back'], ['retries', 'retried'], ['died', 'died'],
      ['kicked', 'kicked'], ['purged', 'purged'], ['expired', 'expired']].filter(([n]) => q[n] > 0).map(([n, label]) => `${count(q[n])} ${label}`).join(' · ') : '')
    if (live.queues.has(k)) return
    unlisted = { key: k, name: title, ...nothing, ...(q && { queued: q.len, active: q.active, delayed: q.delayed, dead: q.dead, consumers: q.blocked, pause: q.pause,
      oldest: q.oldestAge > 0 ? now() - q.oldestAge * 1000 : 0 }) }
    render(unlisted)
  })

  const again = () => {
    extended = false
    load(true)
    details(true)
  }

  const to = (direction) => {
    const query = [direction !== 'none' && `direction=${direction}`, everywhere()].filter(Boolean).join('&')
    return act('POST', `${path(k)}:${direction === 'none' ? 'resume' : 'pause'}?${query}`, direction === 'none' ? `Resumed${where()}.` : `Paused: ${direction}${where()}.`)
  }
  const kickAll = button('Kick dead jobs…', async () => {
    const answer = await ask('Kick dead jobs', 'They are queued again, the oldest of this node first, with all their tries.', 'Kick', { fields: [{ name: 'count', label: 'How many', type: 'number', min: 1, value: '100' }] })
    if (answer && await act('POST', `${path(k)}:kick?count=${encodeURIComponent(answer.count)}`, (a) => `${count(a.changed)} kicked.`)) again()
  })
  const purge = button('Purge…', async () => {
    const answer = await ask(`Purge ${title}?`, `All its jobs${where() || ' that this node knows'}, the dead ones too, are deleted for good.`, 'Purge', { dangerous: true })
    if (answer && await act('POST', `${path(k)}:purge?${everywhere()}`, (a) => `${count(a.changed)} deleted here.`)) again()
  }, 'danger')
  let paused = null

  function buttons(pause) {
    if (paused === pause) return
    paused = pause
    fill(actions,
      pause === 'none'
        ? [button('Pause', () => to('all')), button('Pause in', () => to('in')), button('Pause out', () => to('out'))]
        : button('Resume', () => to('none'), 'primary'),
      kickAll, purge)
  }

  const counts = {} // of the tabs that have one
  const list = h('div', { role: 'tablist', 'aria-label': 'States', class: 'tabs' }, tabs.map((t) => {
    counts[t.name] = h('span', { class: 'count' })
    return h('a', {
      role: 'tab', href: `#/queue/${k}${t === tabs[0] ? '' : `/${t.name}`}`, 'aria-selected': String(t === current), tabindex: t === current ? 0 : -1, id: `tab-${t.name}`, 'aria-controls': 'jobs',
    }, t.label, counts[t.name])
  }))
  list.addEventListener('keydown', (e) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
    if (!by) return
    byKeys = true
    location.hash = list.children[(tabs.indexOf(current) + by + tabs.length) % tabs.length].getAttribute('href')
  })

  const form = adding(k, again)
  const el = h('div', null,
    h('div', { class: 'head' }, h('h1', null, title, ' ', badges), actions),
    figures.el, graphs, totals, form,
    h('section', null, list, h('div', { class: 'card', role: 'tabpanel', id: 'jobs', 'aria-labelledby': `tab-${current.name}` }, jobs.el, empty), more))

  function render(q) {
    for (const n of ['queued', 'active', 'delayed', 'dead', 'consumers']) figures.set(n, short(q[n]))
    for (const n of ['queued', 'active', 'delayed', 'dead']) text(counts[n], q[n] > 0 ? ` ${short(q[n])}` : '')
    figures.set('oldest', q.oldest === 0 ? '–' : span(now() - q.oldest))
    const listed = q.listed !== false // else there are no rates
    figures.set('in', listed ? rate(q.in) : '–')
    figures.set('out', listed ? rate(q.out) : '–')
    graphs.hidden = !listed
    charts[0].update(q.queued)
    charts[1].update(q.in, q.out)
    mark(badges, q)
    actions.hidden = form.hidden = !mayAct()
    buttons(q.pause)
    kickAll.disabled = q.dead === 0
    show()
  }

  const focus = byKeys && list.children[tabs.indexOf(current)]
  byKeys = false

  return {
    el,
    title,
    focus,
    update() {
      const q = live.queues.get(k)
      render(q ?? unlisted)
      if (q && q === seen) return
      if (load()) seen = q
      details()
    },
  }
}
