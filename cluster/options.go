package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

var (
	// ErrUnknown says that no member has this id, or that its address is not known.
	ErrUnknown = errors.New("unknown node")
	// ErrSelf says that the id is this node's own.
	ErrSelf = errors.New("this is the node itself")
	// ErrClosed says that the cluster was closed.
	ErrClosed = errors.New("the cluster is closed")
)

// Options are what a Cluster needs. Identity, NodeTimeout and Log must be set.
type Options struct {
	Identity   *Identity // stays the caller's, and open until Close returned
	Bind       []string  // addresses or host names of the bus; empty = all, or loopback only with LoopbackOnly
	ClientPort int       // where this node serves clients
	BusPort    int       // TCP and UDP; 0 picks a free one

	Advertise     string // IP or host name for others to use; "" = found out
	AdvertisePort int    // for clients, to tell others; 0 = ClientPort

	Secret       string   // gossip is encrypted with a key made of it; "" = not
	Name         string   // of the cluster, at most 200 bytes
	Join         []string // host[:port[@busport]]
	LoopbackOnly bool     // listen on and talk to loopback addresses only

	NodeTimeout func() time.Duration // asked again and again; at least 1 ms
	Log         *slog.Logger

	// OnChange says that Members changed. It is called without locks, by one
	// goroutine, and must not block or call Close.
	OnChange func()
	// OnLink takes an inbound link: a connection whose first byte, not read
	// yet for who reads from it, is 'D', or 0x16 for TLS. It must not block.
	OnLink func(net.Conn)
	// Resolve finds the addresses of a host name; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}
