// What the node is doing, as it tells it each second.

// here is a URL of the node. It is whole, as the page's own may have a password in it,
// which browsers do not send on.
export const here = (path) => `${location.origin}${path}`

const listeners = new Set()
let source = null

// live is what is known. Clock is how far the node's clock is ahead, milliseconds.
export const live = { connected: false, node: null, queues: new Map(), history: new Map(), step: 5, clock: 0 }

const kept = 180
const nothing = { in: [], out: [] }

// historyOf returns the rates of a queue, or with '' of all, a second: as many as there
// are kept, the latest last.
export function historyOf(k) {
  const { in: came, out: left } = live.history.get(k) ?? nothing
  const whole = (list) => [...Array(Math.max(0, kept - list.length)).fill(0), ...list.slice(-kept)].map((n) => n / live.step)
  return { in: whole(came), out: whole(left) }
}

// idle reports whether nothing left a queue in the last samples.
export function idle(k, samples) {
  const { out } = live.history.get(k) ?? nothing
  return out.slice(-samples).every((n) => n === 0)
}

// now is the node's time, Unix milliseconds.
export const now = () => Date.now() + live.clock

export function listen(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function state(data) {
  live.queues = new Map(data.queues.map((q) => [q.key, q]))
  live.history = new Map(Object.entries(data.history ?? {}))
  live.step = data.step
  seen(data)
}

function change(data) {
  for (const q of data.queues) live.queues.set(q.key, q)
  for (const k of data.gone ?? []) {
    live.queues.delete(k)
    live.history.delete(k)
  }
  if (data.sampled) sample(data.sample ?? {})
  seen(data)
}

function sample(data) {
  for (const k of Object.keys(data)) {
    if (!live.history.has(k)) live.history.set(k, { in: [], out: [] })
  }
  for (const [k, series] of live.history) {
    const [came, left] = data[k] ?? [0, 0]
    series.in.push(came)
    series.out.push(left)
    if (series.in.length > kept) {
      series.in.shift()
      series.out.shift()
    }
  }
}

function seen(data) {
  live.node = data.node
  live.clock = data.at - Date.now()
  live.connected = true
  tell()
}

const tell = () => listeners.forEach((l) => l())

// connect follows the node. A browser gives up on an answer that is an error; the node
// may just be restarting.
export function connect() {
  source?.close()
  source = new EventSource(here('/v1/events'))
  source.addEventListener('state', (e) => state(JSON.parse(e.data)))
  source.addEventListener('change', (e) => change(JSON.parse(e.data)))
  source.addEventListener('error', () => {
    live.connected = false
    tell()
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000)
  })
}
