package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// backupMost is how long a client waits for its BACKUP.
const backupMost = time.Minute

// BACKUP path
func cmdBackup(s *session, args [][]byte) {
	if len(args[1]) == 0 {
		s.reply.Error("ERR the path is empty; give that of a directory that does not exist yet")
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

// backupFault says what is to be done about a backup that failed.
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
	case errors.As(err, &full):
		text = "the disk of the append-only file is full: make room there, and try again (" + full.Error() + ")"
	case is(syscall.EXDEV):
		text = fmt.Sprintf("%s is not on the same file system as %s, and a backup is made of hard links: "+
			"give a path on that one, and copy the directory from there", path, dir)
	case is(syscall.EPERM, syscall.EOPNOTSUPP, syscall.EMLINK):
		text = fmt.Sprintf("the file system makes no hard links of %s in %s (%v): stop the node to copy its directory", dir, path, err)
	case is(syscall.ENOSPC, syscall.EDQUOT):
		text = "there is no room for " + path + ": make some, and try again"
	case is(fs.ErrPermission):
		text = fmt.Sprintf("%s cannot be written: give a path in a directory that the broker's user may write to (%v)", path, err)
	case is(context.DeadlineExceeded):
		text = fmt.Sprintf("the backup was given up after %v: see whether the disk is busy, and try again", backupMost)
	case is(context.Canceled):
		text = "the backup was given up, as the node is stopping"
	default:
		return err
	}
	return fault("ERR " + text)
}
