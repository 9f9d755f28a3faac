package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// LogFailure ends a server whose append-only file cannot be written or synced.
// What clients were not told by then may be on disk or not.
type LogFailure struct{ Err error }

func (e *LogFailure) Error() string {
	return fmt.Sprintf("the append-only file failed, and nothing can be promised any more: %v", e.Err)
}

// Unwrap returns the reason.
func (e *LogFailure) Unwrap() error { return e.Err }

// errStopLoading ends a server that is told to stop while it loads. Its jobs are
// where they were.
var errStopLoading = errors.New("told to stop while the append-only file was loaded")

// logFailed is told by the node that its log has failed.
func (s *Server) logFailed(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// logOptions say where and how jobs are kept on disk.
func (s *Server) logOptions(cfg *config.Config) node.LogOptions {
	policy, _ := node.ParsePolicy(cfg.AppendFsync)
	return node.LogOptions{
		FS: s.logFS, Dir: cfg.AOFDir(), Policy: policy, SegmentSize: cfg.AOFSegmentSize,
		RefuseTorn: !cfg.AOFLoadTruncated, QueueAll: cfg.AOFEnqueueJobsOnce, ReadOnce: !cfg.AppendOnly,
		Peers: len(s.identity.Peers()) > 0 || len(cfg.Join) > 0,
	}
}

// load reads the append-only file, if there is to be one. Meanwhile clients are
// answered -LOADING.
func (s *Server) load(ctx context.Context) error {
	cfg := s.cfg.Get()
	if !cfg.AppendOnly && !cfg.AOFEnqueueJobsOnce {
		if there, _ := node.LogPresent(s.logOptions(cfg)); there {
			s.log.Warn("there is an append-only file that is not loaded, as appendonly is no; switching that on later, or BGREWRITEAOF, replaces it",
				"dir", cfg.AOFDir())
		}
		return nil
	}
	if _, err := os.Stat(cfg.AOFDir()); cfg.AOFEnqueueJobsOnce && err != nil {
		return fmt.Errorf("aof-enqueue-jobs-once is set, but there is no append-only file to load: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.helpers.Go(func() { s.reportLoading(ctx, cancel) })
	start := time.Now()
	loaded, err := s.node.OpenLog(ctx, s.logOptions(cfg))
	if errors.Is(err, context.Canceled) {
		return errStopLoading
	}
	if err != nil {
		return fmt.Errorf("loading the append-only file in %s: %w", cfg.AOFDir(), err)
	}
	s.reportLoaded(loaded, cfg, time.Since(start))
	if cfg.AOFEnqueueJobsOnce {
		return s.enqueuedOnce()
	}
	return nil
}

// enqueuedOnce takes back aof-enqueue-jobs-once, in the file too.
func (s *Server) enqueuedOnce() error {
	if err := s.cfg.Update("aof-enqueue-jobs-once", "no"); err != nil {
		return err
	}
	if err := s.cfg.Rewrite(); err != nil && !errors.Is(err, config.ErrNoFile) {
		return fmt.Errorf("taking aof-enqueue-jobs-once out of the configuration file: %w", err)
	}
	return nil
}

// loadReportEvery is how often the progress of loading is logged.
const loadReportEvery = time.Second

// reportLoading logs the progress of loading until ctx ends, and ends it when
// the server is told to stop.
func (s *Server) reportLoading(ctx context.Context, cancel func()) {
	defer cancel()
	tick := time.NewTicker(loadReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			done, total := s.node.LoadProgress()
			s.log.Info("loading the append-only file", "bytes", done, "of", total, "percent", percent(done, total))
		}
	}
}

func (s *Server) reportLoaded(l *node.Loaded, cfg *config.Config, took time.Duration) {
	s.log.Info("the append-only file was loaded", "dir", cfg.AOFDir(), "jobs", l.Jobs, "queued", l.Queued,
		"expired", l.Expired, "records", l.Report.Records, "bytes", l.Report.Bytes, "clean", l.Report.Clean, "took", took)
	if torn := l.Report.Torn; torn != nil {
		s.log.Warn("the end of the append-only file was torn and is cut: no later batch says that it was on disk",
			"file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes, "records", torn.Records, "why", torn.Why)
	}
	if l.Doubtful > 0 {
		s.log.Warn("at-most-once jobs may have been delivered before the node stopped, and are not queued again", "jobs", l.Doubtful)
	}
}

// switchLog turns the append-only file on or off, as CONFIG SET appendonly says.
func (s *Server) switchLog(cfg *config.Config) error {
	if !cfg.AppendOnly {
		err := s.node.StopLog()
		if err != nil && !errors.Is(err, node.ErrLogOff) {
			s.log.Error("the append-only file is off, but may still be there: remove it", "dir", cfg.AOFDir(), "error", err)
			return nil
		}
		s.log.Info("the append-only file is off and removed", "dir", cfg.AOFDir())
		return nil
	}
	if s.picture.Load() {
		return errors.New("a BGREWRITEAOF is under way; try again when aof_rewrite_in_progress of INFO is 0")
	}
	s.log.Info("the append-only file is being written; one that is there is replaced", "dir", cfg.AOFDir())
	return s.node.StartLog(s.logOptions(cfg), func(err error) {
		switch {
		case err == nil:
			s.log.Info("the append-only file is on: all jobs are on disk", "dir", cfg.AOFDir())
		case errors.Is(err, node.ErrStopped):
			s.log.Warn("the append-only file was not completed", "error", err)
		default:
			s.log.Error("the append-only file could not be written, and is off", "dir", cfg.AOFDir(), "error", err)
			s.givenUp <- struct{}{}
		}
	})
}

// logGivenUp switches off what could not be switched on. The sampler calls it.
func (s *Server) logGivenUp() {
	if err := s.cfg.Update("appendonly", "no"); err != nil {
		s.log.Error("switching the append-only file off failed", "error", err)
	}
}

// noteDisk logs when the disk becomes full, and when it is not any more.
func (s *Server) noteDisk() {
	full := s.node.LogInfo().Full
	if (full != nil) == s.diskFull {
		return
	}
	if s.diskFull = full != nil; s.diskFull {
		s.log.Error("the disk of the append-only file is full: no job is added until there is space", "error", full)
	} else {
		s.log.Info("the disk of the append-only file has space again: jobs are added")
	}
}

// BGREWRITEAOF
func cmdBgRewriteAOF(s *session, _ [][]byte) {
	err := s.srv.rewrite(func(err error) {
		if err != nil {
			s.srv.log.Warn("rewriting the append-only file failed", "error", err)
			return
		}
		s.srv.log.Info("the append-only file was rewritten")
	})
	switch {
	case err == nil:
		s.reply.Status("Background append only file rewriting started")
	case errors.Is(err, node.ErrRewriting), errors.Is(err, node.ErrLogOn):
		s.reply.Error("ERR Background append only file rewriting already in progress")
	default:
		s.fail(err)
	}
}

// rewrite makes the append-only file as small as it can be. Without one, it
// writes one that holds the jobs as they are, once. done is told from another
// goroutine how it went.
func (s *Server) rewrite(done func(error)) error {
	err := s.node.Rewrite(done)
	if !errors.Is(err, node.ErrLogOff) {
		return err
	}
	ended := make(chan error, 1)
	o := s.logOptions(s.cfg.Get())
	o.Picture = true
	o.Policy = node.NeverSync // nothing is promised of a picture, least of all that it knows what is delivered later
	if err := s.node.StartLog(o, func(err error) { ended <- err }); err != nil {
		return err
	}
	s.picture.Store(true)
	s.helpers.Go(func() {
		defer s.picture.Store(false)
		select {
		case err := <-ended:
			if err == nil {
				err = s.node.LeaveLog()
			} else {
				err = errors.Join(err, s.node.StopLog())
			}
			done(err)
		case <-s.ending.Done(): // it is dropped when the node is closed
		}
	})
	return nil
}

// rewriteLast does rewrite and waits for it, before the server stops: what is
// done until then is in the file too. The log, if it was off, stays on.
func (s *Server) rewriteLast() error {
	ended := make(chan error, 1)
	done := func(err error) { ended <- err }
	err := s.node.Rewrite(done)
	if errors.Is(err, node.ErrLogOff) {
		err = s.node.StartLog(s.logOptions(s.cfg.Get()), done)
	}
	if err != nil {
		return err
	}
	select {
	case err := <-ended:
		if err != nil && !s.cfg.Get().AppendOnly {
			err = errors.Join(err, s.node.StopLog())
		}
		return err
	case <-s.ending.Done():
		return nil // somebody else stops the server
	}
}
