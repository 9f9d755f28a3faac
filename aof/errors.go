package aof

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

var (
	// ErrBusy says that no room was found before the deadline.
	ErrBusy = errors.New("aof: no room before the deadline")
	// ErrClosed says that the log was closed, switched off or abandoned.
	ErrClosed = errors.New("aof: the log is closed")
	// ErrUnfinished says that no image of the log is complete yet: there is
	// nothing to back up.
	ErrUnfinished = errors.New("aof: the log is not complete yet")
	// ErrBackup says that a backup is being made already.
	ErrBackup = errors.New("aof: a backup is under way")
	// ErrNotEmpty says that a directory for a backup holds something.
	ErrNotEmpty = errors.New("aof: the directory is not empty")
	// ErrTooLarge says that a reservation is larger than MaxReserve.
	ErrTooLarge = errors.New("aof: records too large for one batch")
)

// errNumbers ends a log of four thousand million segments.
var errNumbers = errors.New("aof: the numbers of segments are used up")

// FullError says that no further segment can be made for now: there is no space
// on the disk, no file descriptor, or no permission.
type FullError struct {
	Path string // the file that was to be made or enlarged
	Need int64  // its size, bytes
	Err  error  // the system's reason, such as ENOSPC
}

func (e *FullError) Error() string {
	why := e.Err
	if at := (*fs.PathError)(nil); errors.As(why, &at) {
		why = at.Err // the path is told already
	}
	return fmt.Sprintf("aof: cannot make %s, which needs %s bytes: %v", e.Path, grouped(e.Need), why)
}

// Unwrap returns the system's reason.
func (e *FullError) Unwrap() error { return e.Err }

// CorruptError says that what is on the disk is not what was durable there.
// Nothing was changed.
type CorruptError struct {
	File   string // name in the directory
	Offset int64  // where the damage begins, bytes
	Why    string // what is wrong there
	Lost   string // what going on regardless would lose
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("aof: %s is corrupt at offset %d: %s; at stake: %s", e.File, e.Offset, e.Why, e.Lost)
}

// TornError describes the unfinished end that a crash left: written, and never
// known to be durable.
type TornError struct {
	File    string // name in the directory
	Offset  int64  // the log ends here
	Bytes   int64  // from Offset to the last byte that is not zero
	Batches int    // whole ones behind the damage, which are dropped
	Records int    // in those
	Why     string // what is wrong at Offset
}

func (e *TornError) Error() string {
	return fmt.Sprintf("aof: the end of %s is torn at offset %d (%s): %s bytes, with %d whole batches of %d records behind it",
		e.File, e.Offset, e.Why, grouped(e.Bytes), e.Batches, e.Records)
}

// VersionError says that a segment is of a format that this program does not
// know.
type VersionError struct {
	File         string // name in the directory
	Found, Known uint32 // versions of the format
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("aof: %s was written by a newer version (format %d, this program reads %d)", e.File, e.Found, e.Known)
}

// isFull tells that no segment can be made for now from other errors: for lack
// of space, of descriptors, or of permission. Nothing that was written is in
// danger then.
func isFull(err error) bool {
	for _, lack := range [...]syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EFBIG,
	} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

// gone tells that what was to be removed was not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// grouped prints n with commas between thousands.
func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
