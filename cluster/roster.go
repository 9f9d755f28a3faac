package cluster

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// membersMax bounds the roster. Gossip names no more nodes than that, hidden
// ones included, so one with the secret that goes mad cannot take all memory.
const membersMax = 4096

// forgetTime is how long a forgotten node stays hidden though it has started
// anew since. While it goes on living the life that was forgotten it stays
// hidden until a MEET.
const forgetTime = 60 * time.Second

// byeGrace is how long a dead node is not yet shown as failed.
const byeGrace = 100 * time.Millisecond

// peer is another node, alive or not, shown or not.
type peer struct {
	meta  meta       // as gossip told it last; epoch 0 if it never did
	heard netip.Addr // from the hello of a link, newer than meta; invalid = none
	alive bool       // memberlist says so
	since time.Time  // when alive changed
	dead  bool       // memberlist says so; with neither it has not heard of it yet
	fail  bool       // shown as failed: dead, or silent too long

	named bool // a link's hello said that it is there; gossip did not, so it is not shown

	hidden    bool // by FORGET, or by its own RESET
	left      bool // by its own RESET
	hiddenAt  time.Time
	hideEpoch int64 // the life that is hidden

	tries int       // joins tried since it was lost
	next  time.Time // when to try again
	busy  bool      // one is being tried

	noticed face // by upkeep
}

// face is all of a peer that makes a difference to members.
type face struct {
	shown, fail bool
	meta        meta
	heard       netip.Addr
}

func (p *peer) face(now time.Time) face {
	if !p.shown(now) {
		return face{}
	}
	return face{true, p.fail, p.meta, p.heard}
}

// shown reports whether the peer is a member.
func (p *peer) shown(now time.Time) bool {
	switch {
	case p.meta.alone, p.named:
		return false
	case !p.hidden:
		return true
	}
	return p.meta.epoch > p.hideEpoch && (p.left || now.Sub(p.hiddenAt) >= forgetTime)
}

// bus returns where to reach the peer; not valid if that is unknown.
func (p *peer) bus() netip.AddrPort {
	ip := p.ip()
	if !ip.IsValid() || p.meta.bus == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, uint16(p.meta.bus))
}

// ip returns the address of the peer; not valid if it is unknown.
func (p *peer) ip() netip.Addr {
	if p.heard.IsValid() {
		return p.heard
	}
	return p.meta.ip
}

func (p *peer) member(id string) Member {
	m := p.meta.member(id)
	if p.heard.IsValid() {
		m.Host = p.heard.String()
	}
	m.NoAddr, m.Failed = m.Host == "", p.fail
	return m
}

// roster is the table of the other nodes. memberlist forgets the dead and shows
// no more than the living; the roster keeps the dead until FORGET, and hides
// what was forgotten. Not safe for concurrent use.
type roster map[string]*peer

// restore adds a node that nodes.conf names. It is neither alive nor failed
// until gossip says so or it stays silent.
func (r roster) restore(m Member, now time.Time) {
	p := &peer{meta: meta{high: m.Version, leaving: m.Leaving, port: m.Port, bus: m.BusPort}, since: now, fail: m.Failed}
	if ip, err := netip.ParseAddr(m.Host); err == nil {
		p.meta.ip = ip.Unmap()
	}
	r[m.ID] = p
}

// room reports whether gossip may name the node.
func (r roster) room(id string) bool { return r[id] != nil || len(r) < membersMax }

// put takes what gossip says of a living node.
func (r roster) put(id string, m meta, now time.Time) {
	p := r[id]
	if p == nil {
		p = &peer{}
		r[id] = p
	}
	was := p.ip()
	p.meta, p.heard = m, netip.Addr{}
	if !m.ip.IsValid() {
		p.heard = was // it was started anew and does not know yet where it is
	}
	p.live(now)
}

func (p *peer) live(now time.Time) {
	if !p.alive {
		p.since = now
	}
	p.alive, p.dead, p.fail, p.named, p.tries, p.next = true, false, false, false, 0, time.Time{}
}

// lose takes that gossip declared a node dead, or saw it leave. Which of the
// two memberlist does not say: a node that leaves has told so itself, and that
// may come a little later, see byeGrace.
func (r roster) lose(id string, now time.Time) {
	if p := r[id]; p != nil {
		p.alive, p.dead, p.since = false, true, now
	}
}

// doubt makes all living peers ones of whom nothing is known: memberlist was
// made anew. They fail only if they stay silent.
func (r roster) doubt(now time.Time) {
	for _, p := range r {
		if p.alive {
			p.alive, p.since, p.tries, p.next = false, now, 0, time.Time{}
		}
	}
}

// hide makes a node no member until it is met again, see shown. left says
// that it told so itself.
func (r roster) hide(id string, left bool, epoch int64, now time.Time) {
	p := r[id]
	if p == nil {
		if !r.room(id) {
			return
		}
		p = &peer{since: now}
		r[id] = p
	}
	p.hidden, p.left, p.hiddenAt, p.hideEpoch = true, left, now, max(epoch, p.meta.epoch)
}

// forgotten returns the nodes that are hidden because of a FORGET, ordered by id.
func (r roster) forgotten(now time.Time) (list []forgotten) {
	for id, p := range r {
		if p.hidden && !p.left && now.Sub(p.hiddenAt) < forgetTime {
			list = append(list, forgotten{id, p.hiddenAt.UnixMilli(), p.hideEpoch})
		}
	}
	slices.SortFunc(list, func(a, b forgotten) int { return strings.Compare(a.id, b.id) })
	return list
}

// rehide hides a node that was forgotten before this one was started.
func (r roster) rehide(f forgotten, now time.Time) {
	at := time.UnixMilli(f.at)
	if past := now.Sub(at); past < 0 || past >= forgetTime {
		return
	}
	r.hide(f.id, false, f.epoch, at)
}

// meet shows a node again, unless it is the life that has left: what that said
// before may come late.
func (r roster) meet(id string, epoch int64) {
	if p := r[id]; p != nil && (!p.left || epoch > p.hideEpoch) {
		p.hidden = false
	}
}

// age fails the silent and drops what was hidden long enough.
func (r roster) age(now time.Time, silence time.Duration) {
	for id, p := range r {
		switch {
		case p.alive:
			if p.hidden && p.shown(now) {
				p.hidden = false
			}
		case p.hidden && now.Sub(p.hiddenAt) >= forgetTime, p.meta.alone, p.named && now.Sub(p.since) >= silence:
			delete(r, id)
		case p.dead && now.Sub(p.since) >= byeGrace, now.Sub(p.since) >= silence:
			p.fail = true
		}
	}
}

// members returns the shown ones, ordered by id.
func (r roster) members(now time.Time) []Member {
	var list []Member
	for id, p := range r {
		if p.shown(now) {
			list = append(list, p.member(id))
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// at returns the living member whose bus is at an address; "" if there is none.
func (r roster) at(addr netip.AddrPort, now time.Time) string {
	for id, p := range r {
		if p.alive && p.shown(now) && p.bus() == addr {
			return id
		}
	}
	return ""
}

const (
	retryFirst = 500 * time.Millisecond
	retryLast  = 2 * time.Second
	retriesMax = 16 // at once
)

// due returns the lost members to try again now, and marks them busy. The more
// are lost, the rarer each is tried.
func (r roster) due(now time.Time, jitter func(time.Duration) time.Duration) (ids []string) {
	lost, busy, living := 0, 0, true
	for _, p := range r {
		living = living && p.alive
		if !p.alive && p.shown(now) {
			lost++
		}
		if p.busy {
			busy++
		}
	}
	if living {
		return nil
	}
	for id, p := range r {
		if p.alive || p.busy || busy >= retriesMax || !p.shown(now) && !p.named || now.Before(p.next) || !p.bus().IsValid() {
			continue
		}
		wait := min(retryFirst<<min(p.tries, 8), retryLast)
		wait *= time.Duration(1 + lost/retriesMax)
		p.busy, p.next = true, now.Add(wait/2+jitter(wait))
		p.tries++
		busy++
		ids = append(ids, id)
	}
	return ids
}
