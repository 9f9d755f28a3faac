// What the node is doing, as it tells it each second.

const listeners = new Set()
let source = null

// here is a URL of the node. It is whole, as the page's own may have a password in it,
// which browsers do not send on.
export const here = (path) => `${location.origin}${path}`

// live is what is known. Clock is how far the node's clock is ahead, milliseconds; since
// is when it was heard last, of this machine's clock; locked is whether it asks for a
// password.
export const live = { connected: false, locked: false, since: 0, node: null, queues: new Map(), history: new Map(), step: 5, samples: 180, clock: 0 }

// The parts of a sample: jobs that came and left a second, and jobs that were queued.
export const IN = 0
export const OUT = 1
export const QUEUED = 2

// series is the history of a queue, or with '' of the node: the latest sample last. It is
// as long as something is known.
export const series = (key, part) => (live.history.get(key) ?? []).map((s) => (part === QUEUED ? s[part] : s[part] / live.step))

// now is the node's time, Unix milliseconds.
export const now = () => Date.now() + live.clock

// listen calls a function whenever something is known that was not.
export function listen(listener) {
  listeners.add(listener)
}

function state(data) {
  live.queues = new Map(data.queues.map((q) => [q.key, q]))
  live.history = new Map(Object.entries(data.history).map(([key, samples]) => [key, samples ?? []]))
  live.step = data.step
  live.samples = data.samples
  seen(data)
}

function change(data) {
  for (const q of data.queues) live.queues.set(q.key, q)
  for (const key of data.gone ?? []) {
    live.queues.delete(key)
    live.history.delete(key)
  }
  if (data.sampled) sample(data.sample ?? {})
  seen(data)
}

function sample(data) {
  for (const key of Object.keys(data)) {
    if (!live.history.has(key)) live.history.set(key, [])
  }
  for (const [key, samples] of live.history) {
    if (samples.length === 0 && !data[key]) continue
    samples.push(data[key] ?? [0, 0, 0])
    if (samples.length > live.samples) samples.shift()
  }
}

function seen(data) {
  live.node = data.node
  live.clock = data.at - Date.now()
  live.connected = true
  live.locked = false
  live.since = Date.now()
  tell()
}

const tell = () => listeners.forEach((listener) => listener())

// connect follows the node. A browser gives up on an answer that is an error: the node
// may be restarting, or ask for a password, for which it is asked then.
function connect() {
  source?.close()
  source = new EventSource(here('/v1/events'))
  source.addEventListener('state', (e) => state(JSON.parse(e.data)))
  source.addEventListener('change', (e) => change(JSON.parse(e.data)))
  source.addEventListener('error', () => {
    live.connected = false
    tell()
    if (source.readyState === EventSource.CLOSED) setTimeout(retry, 3000)
  })
}

async function retry() {
  const answer = await fetch(here('/v1/nodes')).catch(() => null)
  live.locked = answer?.status === 401
  if (!document.hidden) connect()
}

// follow keeps what is known up to date while the page is seen: browsers have few
// connections for all pages of a node.
export function follow() {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) connect()
    else source?.close()
  })
  connect()
}
