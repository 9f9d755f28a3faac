import { get, poll } from './api.js'
import { h, keyed, row, table, text } from './dom.js'
import { bytes, count, latency, span, time } from './format.js'
import { tiles } from './chart.js'

// listing is a view of what the node answers: a title, a hint, and what draws it.
function listing(title, hint, path, every, content, draw) {
  const problem = h('p', { class: 'empty', role: 'status' }, 'Loading…')
  const load = poll(every, async () => {
    try {
      draw(await get(path))
      problem.hidden = true
    } catch (error) {
      problem.hidden = false
      text(problem, error.message)
    }
  })
  return { el: h('div', null, h('div', { class: 'head' }, h('h1', null, title)), hint && h('p', { class: 'muted' }, hint), content, problem), title, update: () => load() }
}

const make = (columns) => () => row(columns)

export function clients() {
  const columns = [
    { name: 'addr', label: 'Address', class: 'first mono' }, { name: 'name', label: 'Name' }, { name: 'cmd', label: 'Last command' }, { name: 'state', label: 'State' },
    { name: 'age', label: 'Connected', num: true }, { name: 'idle', label: 'Idle', num: true }, { name: 'out', label: 'Unsent', num: true }, { name: 'resp', label: 'RESP', num: true },
  ]
  const t = table('Clients', columns)
  const empty = h('p', { class: 'empty', hidden: true }, 'Nobody is connected to the RESP port.')
  const states = { b: 'waits for jobs', O: 'monitors', c: 'is being closed', U: 'unix socket' }
  return listing('Clients', 'Who is connected to the RESP port.', '/v1/clients', 2000, h('div', { class: 'card' }, t.el, empty), ({ clients: list }) => {
    empty.hidden = list.length > 0
    keyed(t.body, list, (c) => c.id, make(columns), ({ cells }, c) => {
      text(cells.addr, c.addr)
      text(cells.name, c.name || '–')
      text(cells.cmd, c.cmd === 'null' ? '–' : c.cmd)
      text(cells.state, [...String(c.flags)].map((f) => states[f]).filter(Boolean).join(', ') || '–')
      text(cells.age, c.age === 0 ? '0 s' : span(c.age * 1000))
      text(cells.idle, c.idle === 0 ? '0 s' : span(c.idle * 1000))
      text(cells.out, bytes(c.obl))
      text(cells.resp, c.resp)
    })
  })
}

export function slowlog() {
  const columns = [{ name: 'at', label: 'When', class: 'first time' }, { name: 'took', label: 'Took', num: true }, { name: 'command', label: 'Command', class: 'body' }]
  const t = table('Slow commands', columns)
  const empty = h('p', { class: 'empty', hidden: true }, 'No command was slow.')
  return listing('Slow log', 'Commands that took longer than slowlog-log-slower-than, the latest first.', '/v1/slowlog', 2000, h('div', { class: 'card' }, t.el, empty), ({ entries }) => {
    empty.hidden = entries.length > 0
    keyed(t.body, entries, (e) => e.id, (e) => {
      const r = row(columns)
      r.cells.command.append(h('code', null, e.command.join(' ')))
      return r
    }, ({ cells }, e) => {
      text(cells.at, time(e.at * 1000))
      text(cells.took, latency(e.microseconds / 1e6))
    })
  })
}

export function aof() {
  const figures = tiles([['state', 'State'], ['used', 'Used'], ['alive', 'Live data'], ['disk', 'On disk'], ['files', 'Files'], ['sync', 'Last sync'], ['mean', 'Mean sync'], ['slow', 'Slow syncs']])
  const trouble = h('p', { class: 'notice bad', role: 'alert', hidden: true })
  const facts = h('p', { class: 'muted' })
  return listing('Append-only file', null, '/v1/aof', 1000, h('div', null, trouble, figures.el, facts), (a) => {
    const off = a.state === 'off'
    figures.set('state', a.loading ? 'loading' : a.rewriting ? 'rewriting' : a.state)
    for (const [name, value] of [['used', bytes(a.usedBytes)], ['alive', a.lastRewriteSeconds === null ? '–' : bytes(a.liveBytes)], ['disk', bytes(a.diskBytes)], ['files', count(a.files)], ['sync', latency(a.lastSyncSeconds)],
      ['mean', latency(a.meanSyncSeconds)], ['slow', count(a.slowSyncs)]]) figures.set(name, off ? '–' : value)
    const problems = [a.error, a.full].filter(Boolean).join(' ')
    trouble.hidden = problems === ''
    text(trouble, problems)
    text(facts, off ? 'Jobs are kept in memory only. appendonly yes keeps them on disk.'
      : [`${count(a.batches)} batches written, ${count(a.syncs)} syncs`, a.lastRewriteSeconds === null ? 'no rewrite yet' : `last rewrite took ${latency(a.lastRewriteSeconds)}${a.lastRewriteFailed ? ' and failed' : ''}`].join(' · '))
  })
}

export function config() {
  const columns = [{ name: 'name', label: 'Directive', class: 'first mono' }, { name: 'value', label: 'Value', class: 'body' }]
  const t = table('Configuration', columns)
  let list = []
  const filter = h('input', { id: 'filter', type: 'search', placeholder: 'Filter', autocomplete: 'off', on: { input: () => draw() } })
  const draw = () => keyed(t.body, list.filter((d) => d.name.includes(filter.value.trim().toLowerCase())), (d) => d.name, () => {
    const r = row(columns)
    r.code = r.cells.value.appendChild(h('code'))
    return r
  }, (r, d) => {
    text(r.cells.name, d.name)
    text(r.code, d.value === '' ? '""' : d.value)
  })
  return listing('Configuration', 'CONFIG SET changes what can be changed while the node runs.', '/v1/config', 5000,
    h('div', null, h('p', null, h('label', { class: 'hidden', for: 'filter' }, 'Filter directives'), filter), h('div', { class: 'card' }, t.el)), (answer) => {
      list = answer.directives.sort((a, b) => (a.name < b.name ? -1 : 1))
      draw()
    })
}
