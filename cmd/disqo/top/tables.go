package top

import (
	"fmt"
	"slices"
)

// nodes draws a blank line, a header and at most so many lines of nodes.
func (p *picture) nodes(most int) []line {
	list := []line{{}, {{header, left("NODE", 10) + left("ADDRESS", 32) + left("STATE", 20) + left("LINK", 6) + right("ROUND TRIP", 12)}}}
	shown := p.now.nodes
	if len(shown) > most {
		shown = shown[:max(0, most-1)]
	}
	for _, n := range shown {
		link, style := "up", plain
		switch {
		case n.self:
			link = "-"
		case !n.linked:
			link = "down"
		}
		if !n.fine() {
			style = bad
		}
		list = append(list, line{{style, left(fmt.Sprintf("%.8s", printable(n.id)), 10) + left(printable(n.addr), 31) + " " +
			left(printable(n.state), 19) + " " + left(link, 6) + right(trip(n.trip), 12)}})
	}
	if rest := len(p.now.nodes) - len(shown); rest > 0 {
		list = append(list, line{{plain, fmt.Sprintf("and %d more", rest)}})
	}
	return list
}

// columns are the figures of a queue.
var columns = []struct {
	title string
	width int
	by    order // what sorts by it; 0: nothing
	text  func(r *row) string
}{
	{"LENGTH", 8, byLength, func(r *row) string { return count(r.length) }},
	{"IN/S", 7, byIn, func(r *row) string { return perSecond(r.inRate) }},
	{"OUT/S", 7, byOut, func(r *row) string { return perSecond(r.outRate) }},
	{"ACTIVE", 7, 0, func(r *row) string { return count(r.active) }},
	{"DELAYED", 8, 0, func(r *row) string { return count(r.delayed) }},
	{"DEAD", 7, byDead, func(r *row) string { return count(r.dead) }},
	{"OLDEST", 8, 0, func(r *row) string {
		if r.length == 0 {
			return "-"
		}
		return age(r.age)
	}},
	{"PAUSE", 6, 0, func(r *row) string {
		if r.pause == "none" {
			return "-"
		}
		return r.pause
	}},
}

// nameMin is what is left of a queue's name in the narrowest terminal.
const nameMin = 12

// queues draws a blank line, a header and at most so many queues.
func (p *picture) queues(width, most int) []line {
	room := width
	title := line{}
	for _, c := range columns {
		room -= c.width
		style := header
		if c.by == p.by {
			style = header + ";" + strong
		}
		title = append(title, span{style, right(c.title, c.width)})
	}
	room = max(nameMin, room)
	list := []line{{}, append(line{{header, left("QUEUE", room)}}, title...)}
	if p.options.rows > 0 {
		most = min(most, p.options.rows)
	}
	sorted := slices.Clone(p.rows)
	p.by.sort(sorted)
	for _, r := range sorted[:min(most, len(sorted))] {
		l := line{{plain, left(name(r.name), room)}}
		for _, c := range columns {
			l = append(l, span{p.styleOf(c.by, &r), right(c.text(&r), c.width)})
		}
		list = append(list, l)
	}
	return list
}

// styleOf makes dead jobs be seen.
func (p *picture) styleOf(column order, r *row) style {
	if column == byDead && r.dead > 0 {
		return bad
	}
	return plain
}
