package memfs

import (
	"fmt"
	"syscall"
)

// Kind says what an operation changes.
type Kind uint8

// The kinds of operations.
const (
	Create Kind = iota
	Write
	Sync
	Allocate
	Truncate
	Rename
	Remove
	SyncDir
	Mkdir
	Lock
	Link
)

// String returns the name of the kind.
func (k Kind) String() string {
	names := [...]string{"create", "write", "sync", "allocate", "truncate", "rename", "remove", "syncdir", "mkdir", "lock", "link"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Op is an operation that is about to change the file system or to make a change
// durable.
type Op struct {
	N    int // from 1, in the order of the calls
	Kind Kind
	Path string // of a rename or link: the old one
	Off  int64  // of a write, in bytes
	Len  int64  // of a write: its bytes; of Allocate and Truncate: the size asked for
}

// String returns the operation in a line.
func (o Op) String() string {
	return fmt.Sprintf("#%d %s %s %d+%d", o.N, o.Kind, o.Path, o.Off, o.Len)
}

// ShortWrite is an error by which a hook has a write done in part: the first N
// bytes are written, and the caller gets (N, Err). Err may be nil.
type ShortWrite struct {
	N   int
	Err error
}

// Error returns what it is; no caller of the file system sees it.
func (s *ShortWrite) Error() string { return fmt.Sprintf("a write of %d bytes: %v", s.N, s.Err) }

// OnOp has hook called before each operation takes effect, in the goroutine of
// the caller and without a lock, so that it may clone the file system. If it
// returns an error, the caller gets it and nothing is done, but see ShortWrite.
// nil takes the hook away. A Crash, Kill or Clone has none.
func (f *FS) OnOp(hook func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// Ops returns how many operations were begun, failed ones included.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// begin counts an operation and asks the hook. The mutex is not held.
func (f *FS) begin(o Op) error {
	f.mu.Lock()
	f.ops++
	o.N = f.ops
	hook := f.hook
	err := f.alive()
	f.mu.Unlock()
	if hook == nil || err != nil {
		return err
	}
	return hook(o)
}

// SetCapacity limits the disk to n bytes: whatever needs more fails with ENOSPC.
// 0 is without limit. What is there already stays, also if it is more. A file
// takes its size, in whole sectors, until its last name is removed.
func (f *FS) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// Used returns the bytes that the files take on the disk.
func (f *FS) Used() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used()
}

// used is Used for those that hold the mutex.
func (f *FS) used() (sum int64) {
	seen := make(map[*inode]bool, len(f.names))
	for _, n := range f.names {
		if !seen[n] {
			seen[n] = true
			sum += int64(count(n.size)) * sectorSize
		}
	}
	return sum
}

// room says whether a file may become size bytes long. The mutex is held.
func (f *FS) room(n *inode, size int64) error {
	more := int64(count(size)-count(n.size)) * sectorSize
	if f.capacity > 0 && more > 0 && f.used()+more > f.capacity {
		return syscall.ENOSPC
	}
	return nil
}
