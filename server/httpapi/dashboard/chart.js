import { attr, fill, h, text } from './dom.js'
import { count, rate, tick } from './format.js'
import { IN, OUT, QUEUED, live, series } from './live.js'

// outline is a line through values, the last of which is now, in a box of that size that
// has room for all samples that are kept.
function outline(values, width, height, most) {
  const step = width / (live.samples - 1)
  const first = live.samples - values.length
  return values.map((v, i) => `${i === 0 ? 'M' : 'L'}${((first + i) * step).toFixed(1)} ${(height - (v / most) * height).toFixed(1)}`).join('')
}

// under is the area below an outline.
function under(values, line, width, height) {
  if (values.length === 0) return ''
  const left = ((live.samples - values.length) * width) / (live.samples - 1)
  return `${line}L${width} ${height}L${left.toFixed(1)} ${height}Z`
}

// spark is a small picture of what came to a queue, and what left it.
export function spark() {
  const lines = { in: h('path', { class: 'line in' }), out: h('path', { class: 'line out' }) }
  const el = h('svg', { class: 'spark', viewBox: '0 -1 100 26', preserveAspectRatio: 'none', role: 'img' }, lines.in, lines.out)
  return {
    el,
    update(key) {
      const values = { in: series(key, IN), out: series(key, OUT) }
      const most = Math.max(1, ...values.in, ...values.out)
      for (const name of ['in', 'out']) attr(lines[name], 'd', outline(values[name], 100, 24, most))
      attr(el, 'aria-label', `last 15 minutes, at most ${rate(most)} a second`)
    },
  }
}

// round is the next round number above.
function round(n) {
  const size = 10 ** Math.floor(Math.log10(n))
  return [1, 2, 5, 10].map((f) => f * size).find((f) => f >= n)
}

// chart shows the last quarter of an hour. Each line is {name, label, unit, part}; the
// first has an area.
function chart(key, title, lines) {
  const width = 900
  const height = 120
  const paths = lines.map(({ name }) => h('path', { class: `line ${name}` }))
  const area = h('path', { class: `area ${lines[0].name}` })
  const cursor = h('line', { class: 'cursor', y1: 0, y2: height, visibility: 'hidden' })
  const grid = [0, 0.5, 1].map((f) => h('line', { class: 'grid', x1: 0, x2: width, y1: height * f, y2: height * f }))
  const svg = h('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' }, grid, area, paths, cursor)
  const values = lines.map(() => h('b'))
  const when = h('span', { class: 'muted' })
  const top = h('span')
  const middle = h('span')
  let current = [] // values now
  let history = [] // of each line
  let pointed = null // samples before the last, where the pointer is

  function legend() {
    const at = history[0].length - 1 - pointed
    lines.forEach((line, i) => {
      const v = pointed === null ? current[i] : history[i][at] ?? 0
      text(values[i], line.part === QUEUED ? count(v) : rate(v))
    })
    const ago = (pointed ?? 0) * live.step
    text(when, pointed === null ? '' : ago < 60 ? `${ago} s ago` : `${Math.floor(ago / 60)} min ${ago % 60} s ago`)
  }
  svg.addEventListener('pointermove', (e) => {
    if (history.length === 0) return
    const box = svg.getBoundingClientRect()
    const last = live.samples - 1
    const at = Math.max(0, Math.min(last, Math.round(((e.clientX - box.left) / box.width) * last)))
    pointed = last - at
    attr(cursor, 'x1', (at / last) * width)
    attr(cursor, 'x2', (at / last) * width)
    attr(cursor, 'visibility', 'visible')
    legend()
  })
  svg.addEventListener('pointerleave', () => {
    pointed = null
    attr(cursor, 'visibility', 'hidden')
    if (history.length > 0) legend()
  })
  const el = h('figure', { class: 'chart' },
    h('figcaption', null, lines.map((line, i) => h('span', { class: `key ${line.name}` }, `${line.label} `, values[i], line.unit)), when),
    h('div', { class: 'plot' }, h('div', { class: 'axis y', 'aria-hidden': 'true' }, top, middle, h('span', null, '0')), svg),
    h('div', { class: 'axis x', 'aria-hidden': 'true' }, ['15 min ago', '10', '5', 'now'].map((s) => h('span', null, s))))
  return {
    el,
    // update draws what is known, and the values of this second.
    update(...values) {
      current = values
      history = lines.map((line) => series(key, line.part))
      const most = round(Math.max(2, ...history.flat()))
      lines.forEach((_, i) => attr(paths[i], 'd', outline(history[i], width, height, most)))
      attr(area, 'd', under(history[0], paths[0].getAttribute('d'), width, height))
      text(top, tick(most))
      text(middle, tick(most / 2))
      attr(svg, 'aria-label', `${title} in the last 15 minutes, now ${lines.map((line, i) => `${line.label.toLowerCase()} ${rate(values[i])}`).join(', ')}`)
      legend()
    },
  }
}

// flow and backlog are the charts of a queue, or with '' of the node.
export const flow = (key) => chart(key, 'Jobs a second', [{ name: 'in', label: 'In', unit: ' /s', part: IN }, { name: 'out', label: 'Out', unit: ' /s', part: OUT }])
export const backlog = (key) => chart(key, 'Jobs queued', [{ name: 'queued', label: 'Queued', unit: '', part: QUEUED }])

// meter shows how much of a bound is used.
export function meter(label) {
  const bar = h('span', { class: 'bar' })
  const el = h('span', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100 }, bar)
  return {
    el,
    update(share) {
      const percent = Math.round(Math.min(1, share) * 100)
      attr(el, 'aria-valuenow', percent)
      bar.style.width = `${percent}%`
      bar.className = `bar ${share > 0.95 ? 'bad' : share > 0.75 ? 'warn' : ''}`
    },
  }
}

// tiles are figures side by side. Each is [name, label].
export function tiles(list) {
  const values = {}
  const el = h('dl', { class: 'tiles' }, list.map(([name, label]) => {
    values[name] = h('dd')
    return h('div', { class: `tile ${name}` }, h('dt', null, label), values[name])
  }))
  return {
    el,
    set(name, value, more) {
      if (more) {
        if (!more.isConnected) fill(values[name], h('span'), more)
        text(values[name].firstChild, value)
      } else {
        text(values[name], value)
      }
    },
  }
}
