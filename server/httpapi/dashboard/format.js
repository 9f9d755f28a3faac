const numbers = new Intl.NumberFormat('en')

export const count = (n) => numbers.format(n)

// short is a count in few characters.
export function short(n) {
  if (n < 10000) return numbers.format(n)
  for (const [size, unit] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (n >= size) return `${(n / size).toFixed(n < 100 * size ? 1 : 0)} ${unit}`
  }
}

export const rate = (n) => (n >= 100 ? count(Math.round(n)) : n.toFixed(n === 0 ? 0 : 1))

// tick is what stands beside an axis.
export const tick = (n) => count(Number(n.toFixed(1)))

export function bytes(n) {
  for (const [size, unit] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (n >= size) return `${(n / size).toFixed(n < 10 * size ? 1 : 0)} ${unit}`
  }
  return `${n} B`
}

// span is a time of so many milliseconds, in one or two units.
export function span(ms) {
  if (ms < 0) ms = 0
  if (ms < 1000) return `${Math.round(ms)} ms`
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]]
  let s = Math.floor(ms / 1000)
  const i = units.findIndex(([, size]) => s >= size)
  const parts = []
  for (const [unit, size] of units.slice(i, i + 2)) {
    const n = Math.floor(s / size)
    s -= n * size
    if (n > 0) parts.push(`${n} ${unit}`)
  }
  return parts.join(' ')
}

// latency is a time of so many seconds, with three digits.
export function latency(s) {
  if (s === 0) return '–'
  if (s < 1e-3) return `${(s * 1e6).toFixed(0)} µs`
  if (s < 1) return `${(s * 1e3).toFixed(s < 0.01 ? 2 : 1)} ms`
  return `${s.toFixed(2)} s`
}

// time is a point in time of the clock of whoever looks.
export function time(ms) {
  const d = new Date(ms)
  const pad = (n) => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`
}

// client is the part of a node's address that is for clients.
export const client = (address) => address.split('@')[0]

export const shortNode = (id) => id.slice(0, 8)

// shortJob is enough of an id to tell jobs apart.
export const shortJob = (id) => (id.length > 24 ? `${id.slice(0, 10)}…${id.slice(-13)}` : id)

// key is a name as paths have it. What the server says is made alike.
export const key = (name) => encodeURIComponent(name).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

// sameKey makes a key that somebody typed like those that the server says.
export function sameKey(k) {
  try {
    return key(decodeURIComponent(k.replace(/%(?![0-9A-Fa-f]{2})/g, '%25')))
  } catch {
    return k // it is no text
  }
}

// decoded is what a key or a part of a URL stands for, as far as it is text.
export function decoded(k) {
  try {
    return decodeURIComponent(k)
  } catch {
    return k
  }
}
