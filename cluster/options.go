package cluster

import (
	"context"
	"crypto/tls"
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

	Secret       string   // keys are made of it that encrypt gossip and links; "" = they are plain
	AlsoSecret   string   // another one that other nodes may have, while it is changed; "" = none
	Name         string   // of the cluster, at most 200 bytes
	Join         []string // host[:port[@busport]]
	LoopbackOnly bool     // listen on and talk to loopback addresses only

	NodeTimeout func() time.Duration // asked again and again; at least 1 ms
	Log         *slog.Logger

	// OnChange says that Members changed. It is called without locks, by one
	// goroutine, and must not block or call Close.
	OnChange func()
	// OnLink takes an inbound link: a connection, decrypted if links are, whose
	// first byte is not read yet. It must not block.
	OnLink func(net.Conn)
	// Renew ends links whose connections are stale, those that this node dialled, too,
	// within a time of its own, and has them begin anew. Nil: they are just closed.
	Renew func(stale func(net.Conn) bool)
	// Links returns the configuration of TLS for links, see LinkTLS, in the place
	// of one that is made of Secret; nil if there is none.
	Links func() *tls.Config
	// Resolve finds the addresses of a host name; nil asks the system.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}
