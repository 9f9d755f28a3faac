import { attr, fill, h, text } from './dom.js'
import { rate, tick } from './format.js'
import { historyOf, live } from './live.js'

// points returns a line through values, in a box of that size.
function points(values, width, height, most) {
  const step = width / (values.length - 1)
  return values.map((v, i) => `${i === 0 ? 'M' : 'L'}${(i * step).toFixed(1)} ${(height - (v / most) * height).toFixed(1)}`).join('')
}

// spark is a small picture of what came to a queue, and what left it.
export function spark() {
  const came = h('path', { class: 'line in' })
  const left = h('path', { class: 'line out' })
  const el = h('svg', { class: 'spark', viewBox: '0 -1 100 26', preserveAspectRatio: 'none', role: 'img' }, came, left)
  return {
    el,
    update(k) {
      const history = historyOf(k)
      const most = Math.max(1, ...history.in, ...history.out)
      attr(came, 'd', points(history.in, 100, 24, most))
      attr(left, 'd', points(history.out, 100, 24, most))
      attr(el, 'aria-label', `last 15 minutes, at most ${rate(most)} a second`)
    },
  }
}

// nice is the next round number above.
function nice(n) {
  const size = 10 ** Math.floor(Math.log10(n))
  return [1, 2, 5, 10].map((f) => f * size).find((f) => f >= n)
}

// chart shows the rates of the last quarter of an hour of a queue, or with '' of all.
export function chart(k) {
  const width = 900
  const height = 120
  const came = h('path', { class: 'line in' })
  const area = h('path', { class: 'area in' })
  const left = h('path', { class: 'line out' })
  const cursor = h('line', { class: 'cursor', x1: 0, x2: 0, y1: 0, y2: height, visibility: 'hidden' })
  const grid = [0, 0.5, 1].map((f) => h('line', { class: 'grid', x1: 0, x2: width, y1: height * f, y2: height * f }))
  const svg = h('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img' }, grid, area, came, left, cursor)
  const top = h('span')
  const middle = h('span')
  const nowIn = h('b')
  const nowOut = h('b')
  const when = h('span', { class: 'muted' })
  let at = null // index of the sample that is pointed at
  let history = null

  const legend = () => {
    const i = at ?? history.in.length - 1
    text(nowIn, rate(history.in[i]))
    text(nowOut, rate(history.out[i]))
    const ago = (history.in.length - 1 - i) * live.step
    text(when, at === null ? '' : ago < 60 ? `${ago} s ago` : `${Math.floor(ago / 60)} min ${ago % 60} s ago`)
  }
  svg.addEventListener('pointermove', (e) => {
    if (!history) return
    const box = svg.getBoundingClientRect()
    at = Math.max(0, Math.min(history.in.length - 1, Math.round(((e.clientX - box.left) / box.width) * (history.in.length - 1))))
    const x = (at / (history.in.length - 1)) * width
    attr(cursor, 'x1', x)
    attr(cursor, 'x2', x)
    attr(cursor, 'visibility', 'visible')
    legend()
  })
  svg.addEventListener('pointerleave', () => {
    at = null
    attr(cursor, 'visibility', 'hidden')
    if (history) legend()
  })
  const el = h('figure', { class: 'chart' },
    h('figcaption', null, h('span', { class: 'key in' }, 'In ', nowIn, ' /s'), h('span', { class: 'key out' }, 'Out ', nowOut, ' /s'), when),
    h('div', { class: 'plot' }, h('div', { class: 'axis y', 'aria-hidden': 'true' }, top, middle, h('span', null, '0')), svg),
    h('div', { class: 'axis x', 'aria-hidden': 'true' }, h('span', null, '15 min ago'), h('span', null, '10'), h('span', null, '5'), h('span', null, 'now')))
  return {
    el,
    update() {
      history = historyOf(k)
      const most = nice(Math.max(1, ...history.in, ...history.out))
      const line = points(history.in, width, height, most)
      attr(came, 'd', line)
      attr(area, 'd', `${line}L${width} ${height}L0 ${height}Z`)
      attr(left, 'd', points(history.out, width, height, most))
      text(top, tick(most))
      text(middle, tick(most / 2))
      attr(svg, 'aria-label', `Jobs a second in the last 15 minutes: now ${rate(history.in.at(-1))} in and ${rate(history.out.at(-1))} out`)
      legend()
    },
  }
}

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
