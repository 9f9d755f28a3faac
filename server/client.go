package server

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/acl"
)

// clientInfo is what others may know of a client: CLIENT LIST, the log. The
// atomic fields are written by the client's goroutine.
type clientInfo struct {
	id     int64
	addr   string // ip:port, or the path of the unix socket and ":0"
	local  string // the host this client reached us on, "" for a unix socket
	unix   bool
	fd     int
	joined time.Time

	http bool // it came by the other port

	login   atomic.Pointer[login] // how it said who it is; set by its session, never nil after that
	name    atomic.Pointer[string]
	lastCmd atomic.Pointer[command]
	blocked atomic.Bool
	monitor atomic.Bool
	closing atomic.Bool
	active  atomic.Int64 // unix milliseconds of the last batch
	inBuf   atomic.Int64 // bytes received and not executed
	outBuf  atomic.Int64 // bytes of replies not sent
	resp    atomic.Int32
}

func (c *clientInfo) init(id int64, nc net.Conn) {
	c.id, c.joined, c.fd = id, time.Now(), descriptor(nc)
	c.active.Store(c.joined.UnixMilli())
	c.resp.Store(2)
	c.addr = nc.RemoteAddr().String()
	if nc.RemoteAddr().Network() == "unix" {
		c.unix = true
		c.addr = nc.LocalAddr().String() + ":0"
	} else if host, _, err := net.SplitHostPort(nc.LocalAddr().String()); err == nil {
		c.local = host
	}
}

// batch notes what a batch left behind.
func (c *clientInfo) batch(s *session, at time.Time, in, out int) {
	c.active.Store(at.UnixMilli())
	c.inBuf.Store(int64(in))
	c.outBuf.Store(int64(out))
	c.closing.Store(s.closing)
}

// currentName is the name the client gave itself, "" if none.
func (c *clientInfo) currentName() string {
	if n := c.name.Load(); n != nil {
		return *n
	}
	return ""
}

// userName is the name by which the client logged in, or the default one.
func (c *clientInfo) userName() string {
	if l := c.login.Load(); l.name != "" {
		return l.name
	}
	return acl.DefaultName
}

func (c *clientInfo) lastCommand() string {
	if cmd := c.lastCmd.Load(); cmd != nil {
		return cmd.name
	}
	return "NULL"
}

// line is the client's line of CLIENT LIST.
func (c *clientInfo) line(now time.Time) string {
	flags := ""
	for _, f := range []struct {
		on     bool
		letter string
	}{{c.monitor.Load(), "O"}, {c.blocked.Load(), "b"}, {c.closing.Load(), "c"}, {c.unix, "U"}} {
		if f.on {
			flags += f.letter
		}
	}
	if flags == "" {
		flags = "N"
	}
	idle := (now.UnixMilli() - c.active.Load()) / 1000
	return fmt.Sprintf("id=%d addr=%s fd=%d name=%s age=%d idle=%d flags=%s qbuf=%d qbuf-free=0 obl=%d oll=0 omem=%d events=r cmd=%s user=%s resp=%d\n",
		c.id, c.addr, c.fd, c.currentName(), int(now.Sub(c.joined).Seconds()), max(0, idle), flags,
		c.inBuf.Load(), c.outBuf.Load(), c.outBuf.Load(), strings.ToLower(c.lastCommand()), c.userName(), c.resp.Load())
}

// clients is the register of open connections.
type clients struct {
	mu   sync.Mutex
	open map[int64]*conn
	last int64 // id
}

// add registers a connection; ok is false when there are limit already.
func (c *clients) add(limit int, make func(id int64) *conn) (cn *conn, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) >= limit {
		return nil, false
	}
	c.last++
	cn = make(c.last)
	if c.open == nil {
		c.open = map[int64]*conn{}
	}
	c.open[c.last] = cn
	return cn, true
}

func (c *clients) remove(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, cn.info.id)
}

// all returns the open connections, oldest first.
func (c *clients) all() []*conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*conn, 0, len(c.open))
	for _, cn := range c.open {
		list = append(list, cn)
	}
	sortByID(list)
	return list
}

func (c *clients) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}
