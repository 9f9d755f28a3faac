import { act, ask, changed, get, mayAct, poll } from './api.js'
import { attr, badge, button, fill, h, text } from './dom.js'
import { bytes, client, count, key, shortNode, span, time } from './format.js'
import { delayed, jobPath } from './queue.js'
import { live, now } from './live.js'

// raw are the bytes of a body.
function raw(job) {
  if (job.encoding === 'base64') return Uint8Array.from(atob(job.body), (c) => c.charCodeAt(0))
  return new TextEncoder().encode(job.body)
}

const hexMost = 64 * 1024 // bytes that are shown in hexadecimal

// hex shows bytes as hexdump -C does.
function hex(data) {
  const lines = []
  for (let at = 0; at < Math.min(data.length, hexMost); at += 16) {
    const part = [...data.subarray(at, at + 16)]
    const digits = part.map((b) => b.toString(16).padStart(2, '0'))
    const left = digits.slice(0, 8).join(' ').padEnd(23)
    const right = digits.slice(8).join(' ').padEnd(23)
    lines.push(`${at.toString(16).padStart(8, '0')}  ${left}  ${right}  |${part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join('')}|`)
  }
  if (data.length > hexMost) lines.push(`… ${count(data.length - hexMost)} bytes more`)
  return lines.join('\n')
}

// indent breaks JSON into lines. It is not read, so that numbers and names stay as they
// were written.
function indent(json) {
  let out = ''
  let depth = 0
  const line = () => `\n${'  '.repeat(depth)}`
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === '{' || token === '[') {
      depth++
      out += token + line()
    } else if (token === '}' || token === ']') {
      depth--
      out += line() + token
    } else if (token === ',') {
      out += token + line()
    } else {
      out += token === ':' ? ': ' : token.replace(/^([{[])\s*([}\]])$/, '$1$2')
    }
  }
  return out
}

const forms = {
  text: (job) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw(job)),
  json: (job) => indent(job.body),
  hex: (job) => hex(raw(job)),
}

function isJSON(job) {
  try {
    return job.encoding === 'text' && typeof JSON.parse(job.body) === 'object'
  } catch {
    return false
  }
}

// viewer shows a body as text, JSON or hexadecimal.
function viewer() {
  const out = h('pre', { tabindex: 0, 'aria-label': 'Body' })
  const size = h('span', { class: 'muted' })
  const radios = {}
  const choice = h('fieldset', { class: 'choice' }, h('legend', { class: 'hidden' }, 'Show the body as'), [['text', 'Text'], ['json', 'JSON'], ['hex', 'Hex']].map(([name, label]) => {
    radios[name] = h('input', { type: 'radio', name: 'form', value: name, id: `form-${name}`, on: { change: () => show() } })
    return [radios[name], h('label', { for: `form-${name}` }, label)]
  }))
  let job = null
  function show() {
    const name = Object.keys(radios).find((n) => radios[n].checked)
    text(out, forms[name](job))
  }
  return {
    el: h('section', null, h('div', { class: 'head' }, h('h2', null, 'Body ', size), choice), out),
    update(to) {
      if (job && job.body === to.body) return
      job = to
      const json = isJSON(job)
      radios.json.disabled = !json
      radios[json ? 'json' : job.encoding === 'base64' ? 'hex' : 'text'].checked = true
      text(size, bytes(raw(job).length))
      show()
    },
  }
}

// queueKey is the queue of a job as paths have it.
const queueKey = (job) => job.queueKey ?? key(job.queue)

// timeline is what happened to a job, and what will, if nobody does anything.
function timeline(job) {
  const made = job.ctime / 1e6
  const list = [[made, 'made']]
  const due = made + job.delay * 1000
  if (job.delay > 0 && (delayed(job) || due < now())) list.push([due, delayed(job) ? 'queued, after its delay' : 'delay ended'])
  const deliveries = job.nacks + job.additionalDeliveries
  const past = []
  if (job.nacks > 0) past.push(`given back ${count(job.nacks)} ×`)
  if (job.additionalDeliveries > 0) past.push(`delivered again ${count(job.additionalDeliveries)} ×`)
  if (job.tries > 0) past.push(`${count(job.tries)}${job.maxTries > 0 ? ` of ${count(job.maxTries)}` : ''} tries used`)
  if (deliveries > 0 || job.tries > 0) list.push([null, past.join(', ')])
  if (job.state === 'dead') list.push([null, job.reason ? `dead: ${job.reason}` : 'dead'])
  if (job.state === 'acked') list.push([null, 'acknowledged'])
  if (job.state === 'queued') list.push([now(), 'now in its queue'])
  if (job.backingOff > 0) list.push([now() + (job.nextAwakeWithin ?? 0), 'queued, after its back-off'])
  if (job.state === 'active' && !delayed(job) && job.nextRequeueWithin) list.push([now() + job.nextRequeueWithin, 'queued again, unless acknowledged'])
  list.push([now() + job.ttl * 1000, 'deleted, as its TTL ends'])
  return list
}

function drawTimeline(el, job) {
  fill(el, timeline(job).map(([at, what]) => {
    const ahead = at !== null && at > now() + 500
    return h('li', { class: ahead ? 'ahead' : 'past' }, h('span', null, what),
      at !== null && h('time', { datetime: new Date(at).toISOString(), class: 'muted' }, `${time(at)} · ${ahead ? `in ${span(at - now())}` : at > now() - 1000 ? 'now' : `${span(now() - at)} ago`}`))
  }))
}

// Labels of the fields of SHOW, in the order in which they stand.
const labels = {
  id: 'Id', queue: 'Queue', state: 'State', priority: 'Priority', retry: 'Retry', ttl: 'TTL left', delay: 'Delay', repl: 'Copies wanted', nacks: 'Nacks', additionalDeliveries: 'Deliveries again',
  tries: 'Tries used', maxTries: 'Tries allowed', backoffBase: 'Back-off from', backoffMax: 'Back-off to', backingOff: 'Backing off', generation: 'Generation', reason: 'Reason', ctime: 'Made',
  nextRequeueWithin: 'Requeued within', nextAwakeWithin: 'Next awake within',
}

const seconds = new Set(['retry', 'ttl', 'delay', 'backoffBase', 'backoffMax'])
const milliseconds = new Set(['nextRequeueWithin', 'nextAwakeWithin'])

function value(name, v) {
  if (v === null || v === '') return '–'
  if (name === 'ctime') return time(v / 1e6)
  if (name === 'maxTries' && v === 0) return 'no bound'
  if (name === 'backingOff') return v ? 'yes' : 'no'
  if (seconds.has(name)) return v === 0 ? (name === 'retry' ? '0 s: at most once' : '0 s') : `${count(v)} s`
  if (milliseconds.has(name)) return span(v)
  return typeof v === 'number' ? count(v) : Array.isArray(v) ? v.join(', ') : v
}

export function job([id]) {
  const state = h('span', { class: 'badges' })
  const actions = h('div', { class: 'buttons' })
  const facts = h('dl', { class: 'facts' })
  const line = h('ol', { class: 'timeline' })
  const copies = h('ul', { class: 'copies' })
  const body = viewer()
  const problem = h('p', { class: 'empty', role: 'status' }, 'Loading…')
  const all = h('div', { class: 'columns', hidden: true },
    h('div', null, body.el, h('section', null, h('h2', null, 'Copies'), copies)),
    h('div', null, h('section', null, h('h2', null, 'Timeline'), line), h('section', null, h('h2', null, 'Fields'), facts)))

  let gone = false // it does not come back
  let known = null // of the job
  const load = poll(1000, async () => {
    try {
      const answer = await get(`${jobPath(id)}${known ? '?body=false' : ''}`)
      known = { ...known, ...answer } // the body stays what it was
      show(known)
    } catch (error) {
      gone = error.status === 404
      all.hidden = actions.hidden = true
      problem.hidden = false
      fill(state)
      text(problem, gone ? 'This node does not know the job: it is done, it was deleted, or other nodes have it.' : error.message)
    }
  })

  function show(j) {
    problem.hidden = true
    all.hidden = false
    actions.hidden = !mayAct()
    const word = delayed(j) ? 'delayed' : j.state
    if (state.textContent !== word) {
      fill(state, badge(word, { dead: 'bad', queued: 'good', delayed: 'warn' }[word]))
      buttons(j)
    }
    body.update(j)
    drawTimeline(line, j)
    const names = [...Object.keys(labels), ...Object.keys(j)].filter((n, i, list) => n in j && list.indexOf(n) === i && !['body', 'encoding', 'queueKey', 'nodesDelivered', 'nodesConfirmed'].includes(n))
    fill(facts, names.map((n) => h('div', null, h('dt', null, labels[n] ?? n), h('dd', null, n === 'queue' ? h('a', { href: `#/queue/${queueKey(j)}` }, j.queue) : value(n, j[n])))))
    const peers = new Map(live.node.peers.map((p) => [p.id, p]))
    fill(copies, (j.nodesDelivered ?? []).map((n) => {
      const peer = peers.get(n)
      const where = n === live.node.id ? 'this node' : peer ? `${client(peer.address)} · ${peer.state}` : 'not a member any more'
      return h('li', null, h('code', { title: n }, shortNode(n)), ' ', where, (j.nodesConfirmed ?? []).includes(n) && [' ', badge('acknowledged there', 'good')])
    }))
  }

  function buttons(j) {
    const path = jobPath(id)
    const to = async (verb, said, query = '') => {
      await act('POST', `${path}:${verb}${query}`, changed(said))
      load(true)
    }
    fill(actions,
      j.state === 'active' && !delayed(j) && button('Nack', () => to('nack', 'Given back.')),
      j.state === 'dead' && button('Kick', () => to('kick', 'Queued again.'), 'primary'),
      j.state === 'queued' && button('Promote…', async () => {
        const answer = await ask('Another priority', 'The lower, the sooner it is delivered.', 'Promote', { fields: [{ name: 'priority', label: 'Priority, 0 to 65535', type: 'number', min: 0, value: String(j.priority) }] })
        if (answer) to('promote', 'Promoted.', `?priority=${encodeURIComponent(answer.priority)}`)
      }),
      (j.state === 'active' || j.state === 'queued') && button('Bury…', async () => {
        const answer = await ask('Bury the job?', 'It is dead until somebody kicks it.', 'Bury', { fields: [{ name: 'reason', label: 'Reason' }] })
        if (answer) to('bury', 'Buried.', answer.reason === '' ? '' : `?reason=${encodeURIComponent(answer.reason)}`)
      }),
      button('Delete…', async () => {
        if (!await ask('Delete the job?', 'It is acknowledged, so all nodes forget it.', 'Delete', { dangerous: true })) return
        if (await act('DELETE', path, 'Deleted.') !== undefined) location.hash = `#/queue/${queueKey(j)}`
      }, 'danger'))
    attr(actions, 'aria-label', 'What to do with the job')
  }

  return {
    el: h('div', null, h('div', { class: 'head' }, h('h1', { class: 'mono' }, id, ' ', state), actions), problem, all),
    title: id,
    update: () => gone || load(),
  }
}
