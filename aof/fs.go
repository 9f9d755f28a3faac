package aof

import (
	"errors"
	"io"
)

// ErrLocked says that another process has the directory open.
var ErrLocked = errors.New("aof: the directory is in use by another process")

// FS is what the log needs of a file system; OS is the real one. Paths are the
// system's. Errors wrap those of io/fs and syscall: a full disk is ENOSPC or
// EDQUOT. Safe for concurrent use.
type FS interface {
	// MkdirAll makes a directory and its parents durably; one that exists is fine.
	MkdirAll(dir string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	// Create makes an empty file for reading and writing; it must not exist.
	Create(path string) (File, error)
	// Open opens a file for reading and, if write is set, for writing.
	Open(path string, write bool) (File, error)
	// Rename moves a file within a directory, or to another.
	Rename(from, to string) error
	// Link gives a file a second name, which must not exist: what is written by
	// one is read by the other, and the file is there as long as it has any.
	Link(from, to string) error
	// Remove unlinks a file.
	Remove(path string) error
	// SyncDir makes the entries of a directory durable: files made, moved, linked
	// and removed in it.
	SyncDir(dir string) error
	// Lock takes the lock of a file, made if need be, or fails with ErrLocked.
	// Closing it, or the end of the process, releases it.
	Lock(path string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	// WriteAt is io.WriterAt. Callers treat a short write as an error even if
	// err is nil.
	io.WriterAt
	io.Closer
	// Size returns the length in bytes.
	Size() (int64, error)
	// Allocate makes the file at least size bytes long, with blocks on the
	// disk for all of them; what is new reads as zeros.
	Allocate(size int64) error
	// Truncate cuts the file to size bytes.
	Truncate(size int64) error
	// Sync makes the file's contents and size durable. It must not be called
	// again after it failed.
	Sync() error
}
