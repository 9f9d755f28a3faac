package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// BusOffset is how far the bus is above the clients' port unless told otherwise.
const BusOffset = 10000

const (
	clientPortMax = 65535 - BusOffset
	portMax       = 65535
	hostBytesMax  = 255
	defaultPort   = 7711
)

// Member is a node of the cluster as this one knows it.
type Member struct {
	ID      string
	Host    string // IP address at which others reach it; "" while unknown
	Port    int    // for clients
	BusPort int
	Version int // of the protocol it speaks; 0 while unknown

	Self      bool
	Handshake bool // a MEET in progress: ID is made up
	NoAddr    bool // it has not told its address
	Failed    bool // gossip says it is dead
	Leaving   bool
}

// Address is host:port, or host:port@busport where the bus is not where it is
// expected. The host may be empty; an IPv6 address has no brackets.
func (m Member) Address() string {
	text := m.Host + ":" + strconv.Itoa(m.Port)
	if m.BusPort != 0 && m.BusPort != m.Port+BusOffset {
		text += "@" + strconv.Itoa(m.BusPort)
	}
	return text
}

// bus returns where the member's bus is; it is not valid if that is unknown.
func (m Member) bus() netip.AddrPort {
	ip, err := netip.ParseAddr(m.Host)
	if err != nil || m.BusPort == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(m.BusPort))
}

// Format is the member's line of CLUSTER NODES without its line feed:
//
//	<id> <ip>:<port>[@<busport>] <flags> <ping_sent> <pong_received> <connected|disconnected>
//
// The times are Unix milliseconds, 0 for none. suspect and connected are what
// its link knows; they mean nothing for this node itself.
func Format(m Member, pingSent, pongReceived int64, suspect, connected bool) string {
	if m.Self {
		pingSent, pongReceived, suspect, connected = 0, 0, false, true
	}
	state := "disconnected"
	if connected {
		state = "connected"
	}
	return fmt.Sprintf("%s %s %s %d %d %s", m.ID, m.Address(), m.flags(suspect), pingSent, pongReceived, state)
}

func (m Member) flags(suspect bool) string {
	var list []string
	for _, f := range []struct {
		on   bool
		name string
	}{
		{m.Self, "myself"},
		{suspect && !m.Failed, "fail?"},
		{m.Failed, "fail"},
		{m.Handshake, "handshake"},
		{m.NoAddr, "noaddr"},
		{m.Leaving, "leaving"},
	} {
		if f.on {
			list = append(list, f.name)
		}
	}
	if list == nil {
		return "noflags"
	}
	return strings.Join(list, ",")
}

var errNotNode = errors.New("is not a node")

// parseMember reads a line that Format wrote. What links know is dropped.
func parseMember(line string) (Member, error) {
	f := strings.Fields(line)
	if len(f) != 6 || !ValidID(f[0]) {
		return Member{}, errNotNode
	}
	m := Member{ID: f[0]}
	addr, bus, hasBus := strings.Cut(f[1], "@")
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		return Member{}, errNotNode
	}
	m.Host = addr[:i]
	if _, err := netip.ParseAddr(m.Host); m.Host != "" && err != nil {
		return Member{}, errNotNode
	}
	port, err := strconv.ParseUint(addr[i+1:], 10, 16)
	if err != nil {
		return Member{}, errNotNode
	}
	m.Port = int(port)
	if m.Port >= 1 && m.Port <= clientPortMax {
		m.BusPort = m.Port + BusOffset
	}
	if hasBus {
		port, err := strconv.ParseUint(bus, 10, 16)
		if err != nil {
			return Member{}, errNotNode
		}
		m.BusPort = int(port)
	}
	for flag := range strings.SplitSeq(f[2], ",") {
		switch flag {
		case "myself":
			m.Self = true
		case "fail":
			m.Failed = true
		case "handshake":
			m.Handshake = true
		case "leaving":
			m.Leaving = true
		}
	}
	m.NoAddr = m.Host == "" && !m.Self
	return m, nil
}

// target is a place to find a node at, before names are resolved.
type target struct {
	host      string
	port, bus int
}

func (t target) String() string {
	return Member{Host: t.host, Port: t.port, BusPort: t.bus}.Address()
}

// parseTarget reads host[:port[@busport]]; the port is 7711 by default.
func parseTarget(s string) (target, error) {
	t := target{host: s, port: defaultPort, bus: defaultPort + BusOffset}
	if _, err := netip.ParseAddr(s); err == nil {
		return t, nil
	}
	addr, bus, hasBus := strings.Cut(s, "@")
	i := strings.LastIndexByte(addr, ':')
	if i >= 0 {
		t.host = strings.TrimSuffix(strings.TrimPrefix(addr[:i], "["), "]")
		port, err := strconv.ParseUint(addr[i+1:], 10, 16)
		if err != nil {
			return target{}, fmt.Errorf("%.80q is not host[:port[@busport]]", s)
		}
		t.port, t.bus = int(port), int(port)+BusOffset
	}
	if hasBus {
		port, err := strconv.ParseUint(bus, 10, 16)
		if err != nil {
			return target{}, fmt.Errorf("%.80q is not host[:port[@busport]]", s)
		}
		t.bus = int(port)
	}
	return t, t.check()
}

// check returns an error of one printable line if there can be no such place.
func (t target) check() error {
	_, err := netip.ParseAddr(t.host)
	named := t.host != "" && len(t.host) <= hostBytesMax && !strings.ContainsFunc(t.host, func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if err != nil && !named {
		return fmt.Errorf("%.80q is neither an address nor a host name", t.host)
	}
	if t.port < 1 || t.port > portMax || t.bus < 1 || t.bus > portMax {
		return fmt.Errorf("port %d with bus port %d is out of range", t.port, t.bus)
	}
	return nil
}
