package memfs

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// handle is an open file. Its FS's mutex guards it.
type handle struct {
	fs     *FS
	node   *inode
	path   string
	write  bool
	closed bool
}

// usable says whether the handle is open, for writing if that is asked for. The
// mutex is held.
func (h *handle) usable(write bool) error {
	if h.closed || h.fs.dead {
		return fs.ErrClosed
	}
	if write && !h.write {
		return syscall.EBADF
	}
	return nil
}

// ReadAt reads what is at off, io.EOF if the file ends before p does.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usable(false); err != nil {
		return 0, pathError("read", h.path, err)
	}
	if off < 0 {
		return 0, pathError("read", h.path, fs.ErrInvalid)
	}
	done := h.node.read(p, off)
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// WriteAt writes p at off.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, pathError("write", h.path, fs.ErrInvalid)
	}
	err := h.begin(Op{Kind: Write, Off: off, Len: int64(len(p))})
	if short := (*ShortWrite)(nil); errors.As(err, &short) {
		p, err = p[:min(short.N, len(p))], short.Err
	} else if err != nil {
		return 0, pathError("write", h.path, err)
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if full := h.fs.room(h.node, off+int64(len(p))); full != nil {
		return 0, pathError("write", h.path, full)
	}
	h.node.write(p, off)
	return len(p), pathError("write", h.path, err)
}

// begin is FS.begin for a change of this file.
func (h *handle) begin(o Op) error {
	h.fs.mu.Lock()
	err := h.usable(true)
	h.fs.mu.Unlock()
	if err != nil {
		return err
	}
	o.Path = h.path
	return h.fs.begin(o)
}

// Size returns the length in bytes.
func (h *handle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usable(false); err != nil {
		return 0, pathError("stat", h.path, err)
	}
	return h.node.size, nil
}

// Allocate makes the file at least size bytes long.
func (h *handle) Allocate(size int64) error {
	return h.resize(Allocate, size)
}

// Truncate makes the file size bytes long.
func (h *handle) Truncate(size int64) error {
	return h.resize(Truncate, size)
}

// resize is Allocate or Truncate.
func (h *handle) resize(kind Kind, size int64) error {
	err := h.begin(Op{Kind: kind, Len: size})
	if err == nil {
		h.fs.mu.Lock()
		defer h.fs.mu.Unlock()
		if kind == Allocate {
			size = max(size, h.node.size)
		}
		if err = h.fs.room(h.node, size); err == nil {
			h.node.resize(size)
		}
	}
	return pathError(kind.String(), h.path, err)
}

// Sync makes the file's contents and size durable, but for what the hook made an
// earlier one give up.
func (h *handle) Sync() error {
	err := h.begin(Op{Kind: Sync})
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err != nil {
		h.node.giveUp()
		return pathError("sync", h.path, err)
	}
	h.node.sync()
	return nil
}

// Close closes the handle; nothing is synced by it.
func (h *handle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	err := h.usable(false)
	h.closed = true
	return pathError("close", h.path, err)
}
