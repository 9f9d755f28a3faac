import { attr, badge, button, fill, h, keyed, row, table, text } from './dom.js'
import { bytes, client, count, latency, rate, short, shortNode, span } from './format.js'
import { backlog, flow, meter, spark, tiles } from './chart.js'
import { OUT, live, now, series } from './live.js'

const page = 100 // rows that are added at a time

// idle reports whether nothing left a queue for some samples.
const idle = (key) => series(key, OUT).slice(-3).every((n) => n === 0)

// marks are the badges of a queue.
function marks(q) {
  const list = []
  if (q.pause !== 'none') list.push(badge(q.pause === 'all' ? 'paused' : `paused ${q.pause}`, 'warn'))
  const open = q.pause === 'none' || q.pause === 'in'
  if (open && q.listed !== false && q.queued > 0 && q.consumers === 0 && q.out === 0 && idle(q.key)) list.push(badge('backlog, no consumer', 'bad'))
  return list
}

// mark writes the badges of a queue, if they are others.
export function mark(el, q) {
  const list = marks(q)
  if (el.textContent !== list.map((b) => b.textContent).join('')) fill(el, list)
}

const age = (q) => (q.oldest === 0 ? 0 : Math.max(0, now() - q.oldest))

const queueColumns = [
  { name: 'name', label: 'Queue', sort: true, class: 'first' },
  { name: 'queued', label: 'Queued', num: true, sort: true },
  { name: 'active', label: 'Active', num: true, sort: true },
  { name: 'delayed', label: 'Delayed', num: true, sort: true },
  { name: 'dead', label: 'Dead', num: true, sort: true },
  { name: 'oldest', label: 'Oldest', num: true, sort: true },
  { name: 'in', label: 'In /s', num: true, sort: true },
  { name: 'out', label: 'Out /s', num: true, sort: true },
  { name: 'spark', label: '15 min', class: 'spark' },
  { name: 'consumers', label: 'Waiting', num: true, sort: true },
]

const nodeColumns = [
  { name: 'id', label: 'Node', class: 'first' },
  { name: 'address', label: 'Address' },
  { name: 'state', label: 'State' },
  { name: 'memory', label: 'Memory' },
  { name: 'rtt', label: 'Round trip', num: true },
  { name: 'outbox', label: 'Outbox', num: true },
]

function queueRow(q) {
  const { el, cells } = row(queueColumns)
  const link = h('a', { href: `#/queue/${q.key}` }, q.name)
  const badges = h('span', { class: 'badges' })
  cells.name.append(link, badges)
  const line = spark()
  cells.spark.append(line.el)
  return { el, cells, badges, line }
}

function updateQueue(r, q) {
  mark(r.badges, q)
  for (const name of ['queued', 'active', 'delayed', 'dead', 'consumers']) text(r.cells[name], short(q[name]))
  attr(r.cells.dead, 'class', q.dead > 0 ? 'num red' : 'num')
  text(r.cells.oldest, q.oldest === 0 ? '–' : span(age(q)))
  text(r.cells.in, rate(q.in))
  text(r.cells.out, rate(q.out))
  r.line.update(q.key)
}

function nodes() {
  const t = table('Nodes', nodeColumns)
  const make = () => {
    const r = row(nodeColumns)
    const used = meter('memory used')
    const words = h('span')
    r.cells.memory.append(used.el, words)
    return { ...r, used, words }
  }
  const update = (r, n) => {
    text(r.cells.id, `${shortNode(n.id)}${n.self ? ' (this node)' : ''}`)
    attr(r.cells.id, 'title', n.id)
    text(r.cells.address, client(n.address))
    if (r.cells.state.textContent !== n.state) fill(r.cells.state, badge(n.state, { up: 'good', ready: 'good', failed: 'bad' }[n.state] ?? 'warn'))
    const known = n.self || n.memoryUsedBytes > 0 || n.memoryMaxBytes > 0
    r.used.el.hidden = !known || n.memoryMaxBytes === 0
    r.used.update(n.memoryMaxBytes > 0 ? n.memoryUsedBytes / n.memoryMaxBytes : 0)
    text(r.words, !known ? 'unknown' : bytes(n.memoryUsedBytes) + (n.memoryMaxBytes > 0 ? ` of ${bytes(n.memoryMaxBytes)}` : ', no bound'))
    text(r.cells.rtt, n.self ? '–' : latency(n.roundTripSeconds))
    text(r.cells.outbox, n.self ? '–' : bytes(n.outboxBytes))
  }
  return {
    el: t.el,
    update() {
      const self = { ...live.node, self: true, state: live.node.notReady ? live.node.notReady.replace('not ready: ', '') : 'ready' }
      keyed(t.body, [self, ...live.node.peers], (n) => n.id, make, update)
    },
  }
}

const kept = { sort: 'queued', down: true, filter: '' } // from one visit to the next

export function overview() {
  const figures = tiles([['queued', 'Queued'], ['active', 'Active'], ['delayed', 'Delayed'], ['dead', 'Dead'], ['in', 'In /s'], ['out', 'Out /s'],
    ['clients', 'Clients'], ['memory', 'Memory']])
  const memory = meter('memory used')
  const waiting = h('small')
  const charts = [flow(''), backlog('')]
  const identity = h('p', { class: 'muted' })
  const cluster = nodes()
  let shown = page
  const filter = h('input', { id: 'filter', type: 'search', placeholder: 'Filter', value: kept.filter, autocomplete: 'off', on: { input: () => {
    kept.filter = filter.value
    update()
  } } })
  const queues = table('Queues', queueColumns, (name) => {
    kept.down = kept.sort === name ? !kept.down : name !== 'name'
    kept.sort = name
    update()
  })
  const total = h('span', { class: 'muted' })
  const rest = h('p', { class: 'muted' })
  const more = button('Show more', () => {
    shown += page
    update()
  })
  const empty = h('p', { class: 'empty' })

  function list() {
    const wanted = kept.filter.toLowerCase()
    const found = [...live.queues.values()].filter((q) => q.name.toLowerCase().includes(wanted))
    const value = { name: (q) => q.name, oldest: age }[kept.sort] ?? ((q) => q[kept.sort])
    found.sort((a, b) => {
      const [x, y] = [value(a), value(b)]
      const order = x < y ? -1 : x > y ? 1 : 0
      return (kept.down ? -order : order) || (a.name < b.name ? -1 : 1)
    })
    return found
  }

  function update() {
    const node = live.node
    const { jobs } = node
    for (const name of ['queued', 'active', 'delayed', 'dead']) figures.set(name, short(jobs[name]))
    figures.set('in', rate(node.in))
    figures.set('out', rate(node.out))
    figures.set('clients', `${count(node.clients)} `, waiting)
    text(waiting, `${count(node.blocked)} waiting`)
    figures.set('memory', bytes(node.memoryUsedBytes), memory.el)
    memory.el.hidden = node.memoryMaxBytes === 0
    memory.update(node.memoryMaxBytes > 0 ? node.memoryUsedBytes / node.memoryMaxBytes : 0)
    charts[0].update(node.in, node.out)
    charts[1].update(jobs.queued)
    text(identity, `Figures of this node: ${shortNode(node.id)} · ${location.host} · version ${node.version} · up ${span(node.uptimeSeconds * 1000)}`)
    cluster.update()
    const found = list()
    queues.sorted(kept.sort, kept.down)
    keyed(queues.body, found.slice(0, shown), (q) => q.key, queueRow, updateQueue)
    text(total, count(Math.max(node.queueCount, live.queues.size)))
    more.hidden = found.length <= shown
    const unlisted = node.queueCount - live.queues.size
    rest.hidden = unlisted <= 0
    text(rest, `${count(live.queues.size)} queues are listed, in this order; ${count(unlisted)} more are not: go to them by their names, above.`)
    empty.hidden = found.length > 0
    text(empty, live.queues.size > 0 ? 'No queue is called so.' : 'There is no queue. The first job, or the first consumer that waits, makes one.')
  }

  const el = h('div', null,
    h('h1', { class: 'hidden' }, 'Overview'),
    identity, figures.el, h('div', { class: 'charts' }, charts.map((c) => c.el)),
    h('section', null, h('h2', null, 'Nodes'), h('div', { class: 'card' }, cluster.el)),
    h('section', null,
      h('div', { class: 'head' }, h('h2', null, 'Queues ', total), h('label', { class: 'hidden', for: 'filter' }, 'Filter queues'), filter),
      rest, h('div', { class: 'card' }, queues.el, empty), more))
  return { el, title: 'Overview', update }
}
