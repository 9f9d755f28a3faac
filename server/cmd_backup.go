package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

const (
	backupMost = time.Minute // that a client waits for its BACKUP
	longestDir = 4 << 10     // bytes of its path
)

// BACKUP path
func cmdBackup(s *session, args [][]byte) {
	if n := len(args[1]); n == 0 || n > longestDir {
		s.errorf("ERR the path has %d bytes: give one of 1 to %d, of a directory that is empty or does not exist", n, longestDir)
		return
	}
	cfg := s.srv.cfg.Get()
	path := filepath.Clean(cfg.Path(string(args[1])))
	ctx, cancel := context.WithTimeout(s.srv.ending, backupMost)
	defer cancel()
	began := time.Now()
	made, err := s.srv.node.Backup(ctx, path)
	if err != nil {
		s.srv.log.Warn("a backup was not made", "path", path, "error", err, "client", s.info.addr)
		s.fail(backupFault(err, resp.Echo([]byte(path)), cfg.AOFDir()))
		return
	}
	s.srv.log.Info("a backup was made", "path", path, "segments", made.Segments, "bytes", made.Bytes,
		"took", time.Since(began), "client", s.info.addr)
	r := &s.reply
	r.Map(3)
	r.BulkString("path")
	r.BulkString(path)
	r.BulkString("segments")
	r.Int(int64(made.Segments))
	r.BulkString("bytes")
	r.Int(made.Bytes)
}

// backupFault says what is to be done about a backup in path of the log in dir
// that failed.
func backupFault(err error, path, dir string) error {
	is := func(reasons ...error) bool {
		for _, r := range reasons {
			if errors.Is(err, r) {
				return true
			}
		}
		return false
	}
	text := ""
	switch full := (*node.FullError)(nil); {
	case is(node.ErrLogOff, node.ErrLogClosed):
		text = "appendonly is no, so there is nothing to back up: CONFIG SET appendonly yes, and try again when aof_state of INFO is on"
	case is(node.ErrLogUnfinished):
		text = "the append-only file is still being written: try again when aof_state of INFO is on"
	case is(node.ErrBackup):
		text = "a BACKUP is under way: try again when it was answered"
	case is(node.ErrNotEmpty):
		text = path + " exists and is not empty: give another path, of a directory that is empty or does not exist"
	case is(context.DeadlineExceeded):
		text = fmt.Sprintf("the backup was given up after %v: see whether the disk is busy, and try again", backupMost)
	case is(context.Canceled):
		text = "the backup was given up, as the node is stopping"
	case errors.As(err, &full):
		text = "the disk of the append-only file is full: make room there, and try again (" + full.Error() + ")"
	case is(syscall.ENOSPC, syscall.EDQUOT):
		text = "there is no room for " + path + ": make some there, and try again"
	case is(syscall.EXDEV):
		text = fmt.Sprintf("%s is not on the same file system as %s, and a backup is made of hard links: "+
			"give a path on that one, and copy the directory from there", path, dir)
	case errors.As(err, new(*os.LinkError)):
		text = fmt.Sprintf("%s cannot have hard links to the files in %s (%v): give a path in a directory where it can, or stop the node and copy its directory",
			path, dir, reason(err))
	case is(fs.ErrPermission, fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.EINVAL, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EROFS):
		text = fmt.Sprintf("%s cannot be made (%v): give a path in a directory that the broker's user may write to", path, reason(err))
	default:
		return err
	}
	return fault("ERR " + text)
}

// reason returns what the system said, without the path.
func reason(err error) error {
	var call syscall.Errno
	if errors.As(err, &call) {
		return call
	}
	return err
}
