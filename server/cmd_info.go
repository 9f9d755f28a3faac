package server

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/disqo/disqo/server/node"
)

// section is a part of INFO.
type section struct {
	name, title string
	extra       bool // only on demand
	write       func(s *Server, p func(key string, value any))
}

var sections = []section{
	{"server", "Server", false, infoServer},
	{"clients", "Clients", false, infoClients},
	{"memory", "Memory", false, infoMemory},
	{"jobs", "Jobs", false, func(s *Server, p func(string, any)) { p("registered_jobs", s.node.Jobs()) }},
	{"queues", "Queues", false, func(s *Server, p func(string, any)) { p("registered_queues", s.node.Queues()) }},
	{"persistence", "Persistence", false, infoPersistence},
	{"stats", "Stats", false, infoStats},
	{"cluster", "Cluster", false, infoCluster},
	{"cpu", "CPU", false, infoCPU},
	{"commandstats", "Commandstats", true, infoCommandstats},
}

// INFO [section]
func cmdInfo(s *session, args [][]byte) {
	if len(args) > 2 {
		s.fail(errSyntax)
		return
	}
	want := "default"
	if len(args) == 2 {
		want = lower(args[1])
	}
	s.reply.BulkString(s.srv.infoText(want))
}

// infoText returns the section of that name, the default ones, or all.
func (s *Server) infoText(want string) string {
	var b strings.Builder
	for _, sec := range sections {
		if want != sec.name && want != "all" && want != "everything" && (want != "default" || sec.extra) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", sec.title)
		sec.write(s, func(key string, value any) { fmt.Fprintf(&b, "%s:%v\r\n", key, value) })
	}
	return b.String()
}

func infoServer(s *Server, p func(string, any)) {
	up := int64(time.Since(s.started).Seconds())
	executable, _ := os.Executable()
	p("disqo_version", s.build.Version)
	p("disque_version", s.build.Version)
	p("redis_version", redisVersion)
	p("disque_git_sha1", s.build.Commit)
	p("disque_git_dirty", bit(s.build.Dirty))
	p("disque_build_id", s.build.Commit)
	p("os", runtime.GOOS)
	p("arch_bits", 32<<(^uint(0)>>63))
	p("multiplexing_api", "go")
	p("gcc_version", runtime.Version())
	p("process_id", os.Getpid())
	p("run_id", s.runID)
	p("tcp_port", s.port)
	if s.tlsPort != 0 {
		p("tls_port", s.tlsPort)
	}
	if s.http != nil {
		p("http_port", s.httpPort)
	}
	p("uptime_in_seconds", up)
	p("uptime_in_days", up/86400)
	p("hz", s.cfg.Get().HZ)
	p("executable", executable)
	p("config_file", s.cfg.File())
}

func infoClients(s *Server, p func(string, any)) {
	longest, biggest := int64(0), int64(0)
	for _, c := range s.clients.all() {
		longest = max(longest, c.info.outBuf.Load())
		biggest = max(biggest, c.info.inBuf.Load())
	}
	p("connected_clients", s.clients.len())
	p("client_longest_output_list", longest)
	p("client_biggest_input_buf", biggest)
	p("blocked_clients", s.stats.blocked.Load())
	p("maxclients", s.cfg.Get().MaxClients)
}

func infoMemory(s *Server, p func(string, any)) {
	used, rss := s.node.Used(), residentBytes()
	peak := max(used, s.stats.peakMemory.Load())
	heap, cycles := heapFigures()
	p("used_memory", used)
	p("used_memory_human", human(used))
	p("used_memory_rss", rss)
	p("used_memory_peak", peak)
	p("used_memory_peak_human", human(peak))
	p("mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(rss)/float64(max(used, 1))))
	p("mem_allocator", "go")
	p("maxmemory", s.cfg.Get().MaxMemory)
	p("maxmemory_policy", s.cfg.Get().MaxMemoryPolicy)
	p("memory_level", s.node.Level())
	p("go_heap_bytes", heap)
	p("go_goroutines", runtime.NumGoroutine())
	p("go_maxprocs", runtime.GOMAXPROCS(0))
	p("go_gc_cycles", cycles)
}

func infoStats(s *Server, p func(string, any)) {
	rate := s.stats.rate.read()
	p("total_connections_received", s.stats.connections.Load())
	p("total_commands_processed", s.calls())
	p("instantaneous_ops_per_sec", int64(rate[0]))
	p("total_net_input_bytes", s.stats.netInput.Load())
	p("total_net_output_bytes", s.stats.netOutput.Load())
	p("instantaneous_input_kbps", fmt.Sprintf("%.2f", rate[1]/1024))
	p("instantaneous_output_kbps", fmt.Sprintf("%.2f", rate[2]/1024))
	p("rejected_connections", s.stats.rejected.Load())
	p("latest_fork_usec", 0)
	counts := s.node.Counts()
	p("jobs_queued", counts.Jobs[node.ClassQueued])
	p("jobs_active", counts.Jobs[node.ClassActive])
	p("jobs_delayed", counts.Jobs[node.ClassDelayed])
	p("jobs_dead", counts.Jobs[node.ClassDead])
	p("jobs_wait_repl", counts.Jobs[node.ClassWaiting])
	for _, e := range events {
		p(e.long, counts.Events[e.event])
	}
}

func infoCPU(_ *Server, p func(string, any)) {
	t := cpuTimes()
	p("used_cpu_sys", fmt.Sprintf("%.2f", t.system.Seconds()))
	p("used_cpu_user", fmt.Sprintf("%.2f", t.user.Seconds()))
	p("used_cpu_sys_children", fmt.Sprintf("%.2f", t.childSystem.Seconds()))
	p("used_cpu_user_children", fmt.Sprintf("%.2f", t.childUser.Seconds()))
}

func infoCommandstats(s *Server, p func(string, any)) {
	for i := range s.commands.rows {
		row := &s.commands.rows[i]
		calls, usec := row.stats.calls.Load(), row.stats.nanos.Load()/1000
		if calls > 0 {
			p("cmdstat_"+row.name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f", calls, usec, float64(usec)/float64(calls)))
		}
	}
}

func bit(on bool) int {
	if on {
		return 1
	}
	return 0
}

// human shows bytes as the reference does: 1023B, 1.50K, 2.00M, 3.00G.
func human(n int64) string {
	switch f := float64(n); {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", f/(1<<20))
	default:
		return fmt.Sprintf("%.2fG", f/(1<<30))
	}
}
