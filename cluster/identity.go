package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// IDLen is the length of a node id: 160 bits in hexadecimal digits.
const IDLen = 40

// ErrInUse says that another process holds the identity.
var ErrInUse = errors.New("in use by another process")

// fileBytesMax bounds nodes.conf: room for many times as many nodes as a
// cluster may have.
const fileBytesMax = 4 << 20

// Identity is who this node is: an id that outlives restarts, whether it is
// leaving the cluster, and the other nodes it knew last. It is kept in a file,
// one line a node in the format of CLUSTER NODES, its own first, and locked
// against a second process. Safe for concurrent use.
type Identity struct {
	path string
	lock *os.File

	mu     sync.Mutex
	self   Member
	peers  []Member
	hidden []forgotten
}

// OpenIdentity reads the identity from the file at path, or makes one. Close
// releases it.
func OpenIdentity(path string) (*Identity, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("%s: %w; give each node a dir of its own", path, err)
	}
	i := &Identity{path: path, lock: lock}
	if err := i.load(); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

// Close releases the identity for other processes.
func (i *Identity) Close() error { return i.lock.Close() }

// load reads the file; a missing one makes a new identity.
func (i *Identity) load() error {
	file, err := os.Open(i.path)
	if errors.Is(err, fs.ErrNotExist) {
		i.self = Member{ID: newID(), Self: true}
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, fileBytesMax+1))
	if err != nil {
		return err
	}
	if len(text) > fileBytesMax {
		return fmt.Errorf("longer than %d bytes; restore the file, or remove it to start as a new node", fileBytesMax)
	}
	return i.parse(string(text))
}

// parse reads the lines of the file.
func (i *Identity) parse(text string) error {
	seen := map[string]bool{}
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "vars") {
			i.hidden = append(i.hidden, parseForgotten(line)...)
			continue
		}
		m, err := parseMember(line)
		if err == nil && (seen[m.ID] || m.Self && i.self.Self) {
			err = errors.New("stands there twice")
		}
		if err != nil {
			return fmt.Errorf("line %d: %.80q %w; restore the file, or remove it to start as a new node", n, line, err)
		}
		seen[m.ID] = true
		if m.Self {
			i.self = m
		} else if !m.Handshake {
			i.peers = append(i.peers, m)
		}
	}
	if !i.self.Self {
		return errors.New("it does not say who this node is; restore the file, or remove it to start as a new node")
	}
	return nil
}

// ID returns the node's id.
func (i *Identity) ID() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.self.ID
}

// Leaving reports whether the node is leaving the cluster.
func (i *Identity) Leaving() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.self.Leaving
}

// SetLeaving sets it, on disk first.
func (i *Identity) SetLeaving(on bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.self.Leaving
	i.self.Leaving = on
	if err := i.write(); err != nil {
		i.self.Leaving = was
		return err
	}
	return nil
}

// Renew makes a new id, on disk first, and returns it.
func (i *Identity) Renew() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.self.ID
	i.self.ID = newID()
	if err := i.write(); err != nil {
		i.self.ID = was
		return "", err
	}
	return i.self.ID, nil
}

// Save writes the identity of a node that serves clients on port.
func (i *Identity) Save(port int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.self.Port = port
	return i.write()
}

// forgotten is a node that was forgotten not long ago: gossip may still name it.
type forgotten struct {
	id    string
	at    int64 // when, Unix milliseconds
	epoch int64 // the life that was forgotten
}

// A forgotten node's line is "vars forgotten <id> <at> <epoch>". Other nodes, and
// other versions, pass over lines that begin with vars.
const forgottenLine = "vars forgotten %s %d %d"

// parseForgotten reads such a line; of any other it makes nothing.
func parseForgotten(line string) []forgotten {
	var f forgotten
	if n, err := fmt.Sscanf(line, forgottenLine, &f.id, &f.at, &f.epoch); n < 3 || err != nil || !ValidID(f.id) {
		return nil
	}
	return []forgotten{f}
}

// Peers returns the nodes it knew when it was last written.
func (i *Identity) Peers() []Member {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.peers)
}

// keep writes where this node is and which others it knows. The id and whether
// the node is leaving are its own.
func (i *Identity) keep(self Member, peers []Member, hidden []forgotten) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	self.ID, self.Leaving = i.self.ID, i.self.Leaving
	i.self, i.peers, i.hidden = self, slices.Clone(peers), hidden
	return i.write()
}

// Line is this node's line of CLUSTER NODES, without its line feed.
func (i *Identity) Line() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return Format(i.self, 0, 0, false, true)
}

// text is what the file shall hold.
func (i *Identity) text() string {
	var b strings.Builder
	b.WriteString(Format(i.self, 0, 0, false, true) + "\n")
	for _, m := range i.peers {
		b.WriteString(Format(m, 0, 0, false, false) + "\n")
	}
	for _, f := range i.hidden {
		fmt.Fprintf(&b, forgottenLine+"\n", f.id, f.at, f.epoch)
	}
	return b.String()
}

// write replaces the file: whole or not at all, whatever crashes.
func (i *Identity) write() error {
	text := i.text()
	if was, err := os.ReadFile(i.path); err == nil && string(was) == text {
		return nil // a full disk is no reason not to start
	}
	tmp, err := os.CreateTemp(filepath.Dir(i.path), filepath.Base(i.path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(text)
	if e := tmp.Sync(); err == nil {
		err = e
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), i.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(i.path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if e := dir.Close(); err == nil {
		err = e
	}
	return err
}

// ValidID reports whether s is the id of a node.
func ValidID(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw)*2 == IDLen && s == strings.ToLower(s)
}

func newID() string {
	raw := make([]byte, IDLen/2)
	_, _ = rand.Read(raw) // crypto/rand.Read never returns an error
	return hex.EncodeToString(raw)
}
