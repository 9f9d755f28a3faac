import { button, h } from './dom.js'
import { here, live } from './live.js'

// request returns the answer of the node; an error has the text that is for people.
async function request(method, path, body) {
  let response
  try {
    response = await fetch(here(path), { method, body, headers: { Accept: 'application/json' } })
  } catch {
    throw new Error('The node cannot be reached.')
  }
  const text = await response.text()
  let data = null
  try {
    data = text === '' ? null : JSON.parse(text)
  } catch {
    data = { error: { message: text.trim() } }
  }
  if (!response.ok) {
    const error = new Error(data?.error ? [data.error.code, data.error.message].filter(Boolean).join(': ') : `The node answers ${response.status}.`)
    error.status = response.status
    throw error
  }
  return data
}

export const get = (path) => request('GET', path)

// notice says what happened, for some seconds, or until it is put away.
export function notice(message, kind) {
  const el = h('div', { class: `notice ${kind ?? ''}`, role: kind === 'bad' ? 'alert' : 'status' }, h('span', null, message))
  el.append(button('Dismiss', () => el.remove(), 'quiet'))
  document.getElementById('notices').append(el)
  if (kind !== 'bad') setTimeout(() => el.remove(), 6000)
}

// act makes a request that changes something, and says how it went.
export async function act(method, path, say, body) {
  try {
    const answer = await request(method, path, body)
    notice(typeof say === 'function' ? say(answer) : say)
    return answer
  } catch (error) {
    notice(error.message, 'bad')
    return undefined
  }
}

// changed says that something was done to a job, or that its state was not for it.
export const changed = (say) => (answer) => (answer.changed > 0 ? say : 'Nothing was done: the job is in another state by now.')

// mayAct reports whether the pages have buttons.
export const mayAct = () => live.node?.dashboard === 'yes'

// ask asks whether to go on, and for the values of fields: {name, label, type, min, value}.
// Resolves to the values by name, or to null. A verb that cannot be undone is dangerous.
export function ask(title, message, verb, { fields = [], dangerous = false } = {}) {
  return new Promise((resolve) => {
    const inputs = fields.map((f) => h('input', { id: `ask-${f.name}`, name: f.name, type: f.type ?? 'text', value: f.value ?? '', min: f.min, autocomplete: 'off' }))
    const form = h('form', { method: 'dialog' },
      h('h2', { id: 'ask-title' }, title),
      message && h('p', null, message),
      fields.map((f, i) => h('p', { class: 'field' }, h('label', { for: `ask-${f.name}` }, f.label), inputs[i])),
      h('p', { class: 'buttons' }, button('Cancel', () => dialog.close('')), h('button', { class: dangerous ? 'primary danger' : 'primary', value: 'yes' }, verb)))
    const dialog = h('dialog', { 'aria-labelledby': 'ask-title' }, form)
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(inputs.map((i) => [i.name, i.value.trim()])) : null)
      dialog.remove()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

// poll returns a function that calls load, unless that is under way, or was called less
// than so many milliseconds ago; it returns whether it did. By force it is called again
// as soon as it can be.
export function poll(every, load) {
  let busy = false
  let again = false
  let last = -Infinity
  async function run() {
    do {
      again = false
      last = performance.now()
      await load()
    } while (again)
  }
  return (force) => {
    if (busy) {
      again ||= Boolean(force)
      return false
    }
    if (!force && (document.hidden || performance.now() - last < every)) return false
    busy = true
    run().finally(() => {
      busy = false
    })
    return true
  }
}

// everywhere is what is added to a query to do something on all nodes, if there are more.
export const everywhere = () => (live.node.peers.length > 0 ? 'bcast=true' : '')

// where says the same to people.
export const where = () => (live.node.peers.length > 0 ? ` on all ${live.node.peers.length + 1} nodes` : '')
