package server

import (
	"time"

	"github.com/disqo/disqo/server/node"
)

func infoPersistence(s *Server, p func(string, any)) {
	now := time.Now()
	log := s.node.LogInfo()
	if s.picture.Load() {
		log.State = "off"
	}
	loading := s.loading.Load()
	p("loading", bit(loading))
	p("aof_enabled", bit(log.State != "off"))
	p("aof_state", log.State)
	p("aof_rewrite_in_progress", bit(log.Rewriting))
	p("aof_rewrite_scheduled", 0)
	p("aof_last_rewrite_time_sec", seconds(log.LastRewrite, log.LastRewrite >= 0))
	p("aof_current_rewrite_time_sec", seconds(now.Sub(log.RewriteBegun), log.Rewriting))
	p("aof_last_bgrewrite_status", status(!log.LastFailed))
	p("aof_last_write_status", status(log.Full == nil && log.Err == nil))
	if log.State != "off" {
		infoLog(&log, p)
	}
	if loading {
		s.infoLoading(now, p)
	}
}

func infoLog(log *node.LogInfo, p func(string, any)) {
	p("aof_current_size", log.Sizes.Used)
	p("aof_base_size", log.Live)
	p("aof_pending_rewrite", 0)
	p("aof_buffer_length", log.Sizes.Buffered)
	p("aof_rewrite_buffer_length", 0)
	p("aof_pending_bio_fsync", 0)
	p("aof_delayed_fsync", log.Sizes.Slow)
	p("aof_disk_size", log.Sizes.Disk)
	p("aof_segments", log.Sizes.Files)
	p("aof_batches", log.Sizes.Batches)
	p("aof_syncs", log.Sizes.Syncs)
	p("aof_last_sync_usec", log.Sizes.SyncLast.Microseconds())
	if log.Full != nil {
		p("aof_last_write_error", log.Full)
	}
}

func (s *Server) infoLoading(now time.Time, p func(string, any)) {
	done, total := s.node.LoadProgress()
	p("loading_start_time", s.started.Unix())
	p("loading_total_bytes", total)
	p("loading_loaded_bytes", done)
	p("loading_loaded_perc", percent(done, total))
	eta := int64(1)
	if done > 0 {
		eta = int64(now.Sub(s.started).Seconds()) * (total - done) / done
	}
	p("loading_eta_seconds", eta)
}

// seconds returns whole seconds, -1 if there is nothing to tell.
func seconds(d time.Duration, known bool) int64 {
	if !known {
		return -1
	}
	return int64(d.Seconds())
}

func status(fine bool) string {
	if fine {
		return "ok"
	}
	return "err"
}

func percent(done, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return done * 100 / total
}
