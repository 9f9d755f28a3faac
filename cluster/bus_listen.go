package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	portTries      = 50      // of free ports: TCP and UDP must both have it
	udpBufferBytes = 2 << 20 // asked of the kernel, for bursts of gossip
	bindLookupTime = 5 * time.Second
)

// door is one address of the bus: the same port for TCP and UDP.
type door struct {
	ip  netip.Addr // invalid = all addresses
	tcp net.Listener
	udp packets
}

// packets is what the bus uses of a *net.UDPConn.
type packets interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	Close() error
}

func (d door) close() {
	_ = d.tcp.Close()
	_ = d.udp.Close()
}

// openDoors listens on all addresses with one port; port 0 picks one that is
// free on all.
func openDoors(addrs []netip.Addr, port int) ([]door, int, error) {
	tries := 1
	if port == 0 {
		tries = portTries
	}
	var err error
	for range tries {
		doors, p, e := openDoorsOnce(addrs, port)
		if e == nil {
			return doors, p, nil
		}
		err = e
		if !errors.Is(e, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, 0, fmt.Errorf("cluster bus: %w", err)
}

func openDoorsOnce(addrs []netip.Addr, port int) (doors []door, _ int, err error) {
	defer func() {
		if err != nil {
			for _, d := range doors {
				d.close()
			}
		}
	}()
	for _, ip := range addrs {
		host := ""
		if ip.IsValid() {
			host = ip.String()
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			if len(doors) > 0 && optional(ip, err) {
				continue
			}
			return doors, 0, err
		}
		tcp := l.(*net.TCPListener)
		port = tcp.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			_ = tcp.Close()
			return doors, 0, err
		}
		udp := u.(*net.UDPConn)
		_ = udp.SetReadBuffer(udpBufferBytes) // less will do
		doors = append(doors, door{ip, tcp, udp})
	}
	return doors, port, nil
}

// optional reports whether the bus can do without an address: systems without
// IPv6 have no ::1.
func optional(ip netip.Addr, err error) bool {
	return ip == netip.IPv6Loopback() && !errors.Is(err, syscall.EADDRINUSE)
}

// bindAddrs returns the addresses to listen on. An invalid one stands for all.
func bindAddrs(bind []string, loopbackOnly bool, log *slog.Logger) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, host := range bind {
		if ip, err := netip.ParseAddr(host); err == nil {
			addrs = append(addrs, ip.Unmap())
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), bindLookupTime)
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("cluster bus: bind %s: %w", host, err)
		}
		for _, ip := range ips {
			addrs = append(addrs, ip.Unmap())
		}
	}
	addrs = slices.Compact(addrs)
	if !loopbackOnly {
		if len(addrs) == 0 {
			addrs = []netip.Addr{{}}
		}
		return addrs, nil
	}
	local := slices.DeleteFunc(slices.Clone(addrs), func(ip netip.Addr) bool { return !ip.IsLoopback() })
	if len(local) == 0 {
		local = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	log.Info("cluster: no cluster-secret is set, so the bus talks to loopback addresses only; "+
		"set cluster-secret, or cluster-protected-mode no in a network that you trust", "bus", local)
	return local, nil
}

// reaches reports whether packets from the door's address get to ip.
func (d door) reaches(ip netip.Addr) bool {
	return !d.ip.IsValid() || d.ip.IsUnspecified() || d.ip.Is4() == ip.Is4() && d.ip.IsLoopback() == ip.IsLoopback()
}

// source returns the address from which to reach ip, invalid if any will do.
func source(doors []door, ip netip.Addr) netip.Addr {
	for _, d := range doors {
		if d.reaches(ip) && d.ip.IsValid() && !d.ip.IsUnspecified() {
			return d.ip
		}
	}
	return netip.Addr{}
}
