// Elements without a line of HTML in a string: what is not markup cannot become it.

const SVG = 'http://www.w3.org/2000/svg'
const svgTags = new Set(['svg', 'path', 'line'])

// h makes an element. A property is an attribute, true one without a value, false none;
// the property 'on' has the listeners, by their events.
export function h(tag, props, ...children) {
  const el = svgTags.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) el.addEventListener(event, listener)
    } else {
      attr(el, name, value)
    }
  }
  el.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false))
  return el
}

// attr sets an attribute, if it has another value.
export function attr(el, name, value) {
  if (value === false || value === null || value === undefined) {
    if (el.hasAttribute(name)) el.removeAttribute(name)
  } else {
    const text = value === true ? '' : String(value)
    if (el.getAttribute(name) !== text) el.setAttribute(name, text)
  }
}

// text sets the text of an element, if it is another.
export function text(el, value) {
  const s = String(value)
  if (el.textContent !== s) el.textContent = s
}

// fill replaces what is in an element.
export function fill(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter(Boolean))
}

const children = new WeakMap() // of keyed elements, by key

// keyed makes the children of an element those of the items, in their order. A child
// lives as long as its item: it keeps its focus, and only what changed is written.
export function keyed(parent, items, key, make, update) {
  if (!children.has(parent)) children.set(parent, new Map())
  const rows = children.get(parent)
  const focused = parent.contains(document.activeElement) ? document.activeElement : null
  const keys = new Set(items.map(key))
  for (const [k, row] of rows) {
    if (!keys.has(k)) {
      row.el.remove()
      rows.delete(k)
    }
  }
  let next = parent.firstChild
  for (const item of items) {
    const k = key(item)
    let row = rows.get(k)
    if (!row) {
      row = make(item)
      rows.set(k, row)
    }
    update(row, item)
    if (row.el === next) {
      next = next.nextSibling
    } else {
      parent.insertBefore(row.el, next)
    }
  }
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true })
}

// table returns a table and its body. A column is {name, label, num, sort}; onSort is
// called with the name of a column whose head was pressed.
export function table(caption, columns, onSort) {
  const heads = columns.map((c) => {
    const inner = c.sort ? h('button', { type: 'button', class: 'sort', on: { click: () => onSort(c.name) } }, c.label) : c.label
    return h('th', { scope: 'col', class: c.num && 'num' }, inner)
  })
  const body = h('tbody')
  const el = h('table', null, h('caption', { class: 'hidden' }, caption), h('thead', null, h('tr', null, heads)), body)
  const sorted = (name, down) => columns.forEach((c, i) => attr(heads[i], 'aria-sort', c.sort && c.name === name && (down ? 'descending' : 'ascending')))
  return { el, body, sorted }
}

// row makes a row of a table with a cell for each column.
export function row(columns) {
  const cells = {}
  const el = h('tr', null, columns.map((c) => (cells[c.name] = h('td', { class: [c.num && 'num', c.class].filter(Boolean).join(' ') || false, 'data-label': c.label }))))
  return { el, cells }
}

export function button(label, click, kind) {
  return h('button', { type: 'button', class: kind, on: { click } }, label)
}

export function badge(label, kind) {
  return h('span', { class: `badge ${kind ?? ''}` }, label)
}
