package top

import (
	"fmt"
	"strings"
	"time"
)

// picture is all that is drawn. It is a value: a copy is what was seen then.
type picture struct {
	*options
	now    *sample // the last there was; nil: none yet
	rows   []row   // its queues
	gap    bool    // the broker was away since: rates over that time would be wrong
	away   string  // why there is no sample since, "" if there is
	by     order
	paused bool
}

// take shows a sample.
func (p *picture) take(s *sample) {
	before := p.now
	if p.gap {
		before = nil
	}
	p.now, p.rows, p.gap, p.away = s, rows(before, s), false, ""
}

// miss shows that the broker is away, beside the last that it said.
func (p *picture) miss(err error, again time.Duration) {
	p.gap, p.away = true, fmt.Sprintf("away: %v; next try in %s", err, again)
}

// lines draws the picture for a terminal of that size; height 0 is as high as it
// takes, without the keys.
func (p *picture) lines(width, height int) []line {
	list := p.head(width)
	var foot []line
	if len(p.now.queues) > 0 && p.now.more {
		foot = append(foot, line{{warn, fmt.Sprintf("%d of %s queues were looked at", len(p.now.queues), p.now.info["registered_queues"])}})
	}
	if height > 0 {
		foot = append(foot, p.keys())
		const titles = 4 // blank lines and headers
		list = append(list, p.nodes(max(1, (height-len(list)-len(foot)-titles)/2))...)
		list = append(list, p.queues(width, max(0, height-len(list)-len(foot)-2))...)
		for len(list)+len(foot) < height {
			list = append(list, line{})
		}
		list = append(list[:max(0, height-len(foot))], foot...)
		return list[:min(height, len(list))]
	}
	list = append(list, p.nodes(len(p.now.nodes))...)
	list = append(list, p.queues(width, len(p.rows))...)
	return append(list, foot...)
}

// head tells about the node itself.
func (p *picture) head(width int) []line {
	s := p.now
	id := "-"
	if len(s.nodes) > 0 && s.nodes[0].self {
		id = fmt.Sprintf("%.8s", s.nodes[0].id)
	}
	first := line{{strong, "disqo " + s.info["disqo_version"]}}
	if s.info["loading"] == "1" {
		first = append(first, span{warn, " loading, " + s.info["loading_loaded_perc"] + " %,"})
	}
	if p.paused {
		first = append(first, span{warn, " paused"})
	}
	first = append(first, span{plain, fmt.Sprintf(" at %s   node %s   up %s   every %s", p.Addr, id, age(s.number("uptime_in_seconds")), p.interval)})
	if p.away != "" {
		first = line{{bad, p.away}}
	}
	return []line{
		first,
		p.memory(width),
		{{plain, fmt.Sprintf("jobs    %s queued, %s active, %s delayed, %s dead, %s wait-repl", count(s.number("jobs_queued")),
			count(s.number("jobs_active")), count(s.number("jobs_delayed")), count(s.number("jobs_dead")), count(s.number("jobs_wait_repl")))}},
		append(line{{plain, fmt.Sprintf("clients %s, %s blocked   ops/s %s   aof ", count(s.number("connected_clients")),
			count(s.number("blocked_clients")), count(s.number("instantaneous_ops_per_sec")))}}, p.log()...),
	}
}

// memory draws what is used of maxmemory, in the colors of its levels.
func (p *picture) memory(width int) line {
	used, most := p.now.number("used_memory"), p.now.number("maxmemory")
	if most <= 0 {
		return line{{plain, "memory  " + bytes(used) + ", no limit"}}
	}
	style := good
	switch p.now.number("memory_level") {
	case 0:
	case 1:
		style = warn
	default:
		style = bad
	}
	cells := min(30, max(0, width-40))
	full := min(cells, int(float64(cells)*float64(used)/float64(most)+0.5))
	return line{
		{plain, "memory  ["}, {style, strings.Repeat("|", full)}, {plain, strings.Repeat(" ", cells-full) + "] "},
		{plain, fmt.Sprintf("%s of %s, %.0f %%", bytes(used), bytes(most), 100*float64(used)/float64(most))},
	}
}

// log tells the state of the append-only file.
func (p *picture) log() line {
	l := line{{plain, p.now.info["aof_state"]}}
	if p.now.info["aof_rewrite_in_progress"] == "1" {
		l = append(l, span{plain, ", rewriting"})
	}
	if p.now.info["aof_last_write_status"] == "err" {
		l = append(l, span{bad, ", last write failed"})
	}
	return l
}

// keys is the last line.
func (p *picture) keys() line {
	var l line
	for _, o := range orders {
		text := span{plain, string(rune(o.by)) + " " + o.name}
		if o.by == p.by {
			text = span{strong, "[" + text.text + "]"}
		}
		l = append(l, text, span{plain, "  "})
	}
	return append(l, span{plain, "  p pause  q quit"})
}
