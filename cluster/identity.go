package cluster

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// IDLen is the length of a node id: 160 bits in hexadecimal digits.
const IDLen = 40

// ErrInUse says that another process holds the identity.
var ErrInUse = errors.New("in use by another process")

// Identity is who this node is: an id that outlives restarts, and whether it
// is leaving the cluster. It is kept in a file, one line a node in the format
// of CLUSTER NODES, and locked against a second process. Safe for concurrent
// use.
type Identity struct {
	path string
	lock *os.File

	mu      sync.Mutex
	id      string
	port    int
	leaving bool
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
	text, err := os.ReadFile(i.path)
	if errors.Is(err, fs.ErrNotExist) {
		i.id = newID()
		return nil
	}
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "vars") {
			continue
		}
		f := strings.Fields(line)
		if len(f) != 6 || !ValidID(f[0]) {
			return fmt.Errorf("line %d is not a node: %.80q; restore the file, or remove it to start as a new node", n, line)
		}
		if flags := strings.Split(f[2], ","); has(flags, "myself") {
			i.id = f[0]
			i.leaving = has(flags, "leaving")
		}
	}
	if i.id == "" {
		return errors.New("it does not say who this node is; restore the file, or remove it to start as a new node")
	}
	return lines.Err()
}

func has(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

// ID returns the node's id.
func (i *Identity) ID() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.id
}

// Leaving reports whether the node is leaving the cluster.
func (i *Identity) Leaving() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.leaving
}

// SetLeaving sets it, on disk first.
func (i *Identity) SetLeaving(on bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.leaving
	i.leaving = on
	if err := i.write(); err != nil {
		i.leaving = was
		return err
	}
	return nil
}

// Renew makes a new id, on disk first, and returns it.
func (i *Identity) Renew() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	was := i.id
	i.id = newID()
	if err := i.write(); err != nil {
		i.id = was
		return "", err
	}
	return i.id, nil
}

// Save writes the identity of a node that serves clients on port.
func (i *Identity) Save(port int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.port = port
	return i.write()
}

// Line is this node's line of CLUSTER NODES, without its line feed.
func (i *Identity) Line() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.line()
}

func (i *Identity) line() string {
	flags := "myself"
	if i.leaving {
		flags += ",leaving"
	}
	return fmt.Sprintf("%s :%d %s 0 0 connected", i.id, i.port, flags)
}

// write replaces the file: whole or not at all, whatever crashes.
func (i *Identity) write() error {
	text := i.line() + "\n"
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
