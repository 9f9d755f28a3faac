package cluster

import (
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Node is another member of the cluster.
type Node struct {
	ID   string
	Host string // address, without the port
	Port int    // of its bus
}

// Table is the nodes this one knows, without itself. memberlist feeds it as
// its event delegate. Safe for concurrent use.
type Table struct {
	self string

	mu    sync.Mutex
	nodes map[string]Node
}

var _ memberlist.EventDelegate = (*Table)(nil)

// NewTable returns an empty table of the node with the given id.
func NewTable(self string) *Table { return &Table{self: self, nodes: map[string]Node{}} }

// NotifyJoin implements memberlist.EventDelegate: a member's name is its id.
func (t *Table) NotifyJoin(n *memberlist.Node) { t.put(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (t *Table) NotifyUpdate(n *memberlist.Node) { t.put(n) }

// NotifyLeave implements memberlist.EventDelegate.
func (t *Table) NotifyLeave(n *memberlist.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, n.Name)
}

func (t *Table) put(n *memberlist.Node) {
	if n.Name == t.self || !ValidID(n.Name) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.nodes[n.Name] = Node{ID: n.Name, Host: n.Addr.String(), Port: int(n.Port)}
}

// Nodes returns the nodes, ordered by id.
func (t *Table) Nodes() []Node {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Node, 0, len(t.nodes))
	for _, n := range t.nodes {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	return list
}
