import { button, h } from './dom.js'
import { here, live } from './live.js'

// request returns the answer of the node; an error has the text that is for people.
export async function request(method, path, body) {
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

// mayAct reports whether the pages have buttons.
export const mayAct = () => live.node?.dashboard === 'yes'

// ask asks before something is done that cannot be undone, and may ask for more: fields
// are {name, label, type, value}. Resolves to their values, or to null.
export function ask(title, message, verb, fields = []) {
  return new Promise((resolve) => {
    const inputs = fields.map((f) => h('input', { id: `ask-${f.name}`, name: f.name, type: f.type ?? 'text', value: f.value ?? '', min: f.min, autocomplete: 'off' }))
    const form = h('form', { method: 'dialog' },
      h('h2', { id: 'ask-title' }, title),
      message && h('p', null, message),
      fields.map((f, i) => h('p', { class: 'field' }, h('label', { for: `ask-${f.name}` }, f.label), inputs[i])),
      h('p', { class: 'buttons' }, button('Cancel', () => dialog.close('')), h('button', { class: 'primary', value: 'yes' }, verb)))
    const dialog = h('dialog', { 'aria-labelledby': 'ask-title' }, form)
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes' ? Object.fromEntries(inputs.map((i) => [i.name, i.value.trim()])) : null)
      dialog.remove()
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

// poll calls load now, and again when the node says something, but not while one is under
// way, and not more often than each so many milliseconds.
export function poll(every, load) {
  let busy = false
  let last = 0
  return async (force) => {
    if (busy || document.hidden || (!force && performance.now() - last < every)) return
    busy = true
    last = performance.now()
    try {
      await load()
    } finally {
      busy = false
    }
  }
}
