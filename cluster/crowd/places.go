package crowd

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Places are those of connections that have not shown yet whose they are. Nobody
// who comes is turned away: if a host has its share, its oldest connection is
// closed, and if all places are taken, the oldest of the host that has most. So
// whoever says at once what there is to say gets through, whatever others do.
// Safe for concurrent use.
type Places struct {
	share, all int

	mu    sync.Mutex
	hosts map[netip.Addr][]net.Conn // in the order in which they came
	taken int
}

// NewPlaces returns so many places, and no more than share for one host.
func NewPlaces(share, all int) *Places {
	return &Places{share: share, all: all, hosts: map[netip.Addr][]net.Conn{}}
}

// Enter gives a connection a place, and closes the one that had it.
func (p *Places) Enter(nc net.Conn) {
	if out := p.enter(nc); out != nil {
		_ = out.Close()
	}
}

func (p *Places) enter(nc net.Conn) (out net.Conn) {
	host := Host(nc.RemoteAddr())
	p.mu.Lock()
	defer p.mu.Unlock()
	switch from := host; {
	case len(p.hosts[host]) >= p.share:
		out = p.hosts[host][0]
	case p.taken >= p.all:
		for h, list := range p.hosts {
			if len(list) > len(p.hosts[from]) {
				from = h
			}
		}
		out = p.hosts[from][0]
	}
	if out != nil {
		p.leave(out)
	}
	p.hosts[host] = append(p.hosts[host], nc)
	p.taken++
	return out
}

// Leave gives a place back. It reports whether the connection still had one; if
// not, it was closed.
func (p *Places) Leave(nc net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leave(nc)
}

// leave is Leave with mu held.
func (p *Places) leave(nc net.Conn) bool {
	host := Host(nc.RemoteAddr())
	list := p.hosts[host]
	i := slices.Index(list, nc)
	if i < 0 {
		return false
	}
	p.taken--
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(p.hosts, host)
	} else {
		p.hosts[host] = list
	}
	return true
}

// Taken returns how many places are taken.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Host returns the IP address of an end of a connection; not valid if it has
// none.
func Host(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
