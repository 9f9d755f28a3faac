package server_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The tests of this file are the reply shapes that the suites of public Disque
// clients depend on, by their item: TestShape3_1 to TestShape3_16. Item 3.2 is
// a matter for the documentation.

func TestShape3_1IdsAreSimpleStrings(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		id := c.Job("q", "x") // which requires a simple string
		require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n+"+id+"\r\n", c.Do("JSCAN", "0", "BUSYLOOP"))
		for _, state := range []string{"in", "out", "all", "none"} {
			require.Equal(t, "+"+state+"\r\n", c.Do("PAUSE", "q", state))
		}
		require.Contains(t, c.Do("COMMAND", "INFO", "addjob"), "*3\r\n+write\r\n+denyoom\r\n+fast\r\n")
	})
}

func TestShape3_3NothingThere(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Equal(t, "*-1\r\n", c.Do("GETJOB", "NOHANG", "FROM", "q"))
	require.Equal(t, "*-1\r\n", c.Do("GETJOB", "TIMEOUT", "5", "FROM", "q", "r"))
	require.Equal(t, "$-1\r\n", c.Do("SHOW", "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"))
	require.Equal(t, "*-1\r\n", c.Do("QSTAT", "unknown"))
	require.Equal(t, "*0\r\n", c.Do("QPEEK", "unknown", "1"))
}

func TestShape3_4JobID(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	node := decode(t, c.Do("HELLO")).([]any)[1].(string)
	for ttl, tags := range map[string][2]string{ // at least once, at most once
		"":           {"05a1", "05a0"},
		"1":          {"0001", "0000"},
		"3600":       {"003d", "003c"},
		"65535":      {"0445", "0444"},
		"2000000000": {"ffff", "fffe"},
	} {
		var options []string
		if ttl != "" {
			options = []string{"TTL", ttl}
		}
		for i, tag := range tags {
			id := c.Job("q", "x", append(options, "RETRY", strconv.Itoa(1-i))...)
			require.Len(t, id, 40)
			require.Equal(t, "D-"+node[:8]+"-", id[:11])
			require.Equal(t, "-"+tag, id[35:], "TTL %s", ttl)
		}
	}
}

func TestShape3_5GetJobRows(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		a, b := c.Job("q", "a"), c.Job("q", "\x00\r\n")
		require.Equal(t, "*1\r\n"+bulks("q", a, "a"), c.Do("GETJOB", "FROM", "q"))
		require.Equal(t, ":1\r\n", c.Do("NACK", a))
		counters := func(nacks, more int) string {
			return fmt.Sprintf("$5\r\nnacks\r\n:%d\r\n$21\r\nadditional-deliveries\r\n:%d\r\n", nacks, more)
		}
		require.Equal(t, "*2\r\n"+
			"*7\r\n"+bulk("q")+bulk(a)+bulk("a")+counters(1, 0)+
			"*7\r\n"+bulk("q")+bulk(b)+bulk("\x00\r\n")+counters(0, 0),
			c.Do("GETJOB", "WITHCOUNTERS", "COUNT", "9", "FROM", "q"))
	})
}

func TestShape3_6Show(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		node := decode(t, c.Do("CLUSTER", "MYID")).(string)
		id := c.Job("q", "body", "DELAY", "50", "RETRY", "20", "TTL", "100")
		got := decode(t, c.Do("SHOW", id)).([]any)
		require.Len(t, got, 30)
		show := showFields(t, c, id)
		var keys []string
		for i := 0; i < len(got); i += 2 {
			keys = append(keys, got[i].(string))
		}
		require.Equal(t, "id queue state repl ttl ctime delay retry nacks additional-deliveries nodes-delivered nodes-confirmed "+
			"next-requeue-within next-awake-within body", strings.Join(keys, " "))
		require.InDelta(t, 50_000, show["next-requeue-within"], 2000, "milliseconds")
		require.InDelta(t, 50_000, show["next-awake-within"], 2000, "milliseconds")
		require.InDelta(t, 100, show["ttl"], 2, "seconds")
		require.Greater(t, show["ctime"], int64(1e18), "nanoseconds")
		for key, want := range map[string]any{
			"id": id, "queue": "q", "state": "active", "repl": int64(1), "delay": int64(50), "retry": int64(20),
			"nacks": int64(0), "additional-deliveries": int64(0), "nodes-delivered": []any{node}, "nodes-confirmed": []any{}, "body": "body",
		} {
			require.Equal(t, want, show[key], key)
		}
		require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
		require.Nil(t, decode(t, c.Do("SHOW", id)), "an acknowledged job is gone at once on one node")
	})
}

func TestShape3_7QueueStat(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		c.Job("q", "x")
		c.Job("q", "y")
		require.Len(t, fetchIDs(t, c, "q", 1), 1)
		require.Equal(t, []any{
			"name", "q", "len", int64(1), "age", int64(0), "idle", int64(0), "blocked", int64(0), "import-from", []any{},
			"import-rate", int64(0), "jobs-in", int64(2), "jobs-out", int64(1), "pause", "none",
		}, decode(t, c.Do("QSTAT", "q")))
		require.Contains(t, c.Do("QSTAT", "q"), bulk("pause")+bulk("none"), "pause is a bulk here")
	})
}

func TestShape3_8HelloNamesAnAddressThatCanBeDialled(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	node := decode(t, c.Do("HELLO")).([]any)[2].([]any)
	again := servertest.Dial(t, net.JoinHostPort(node[1].(string), node[2].(string)))
	require.Equal(t, bulk(node[0].(string)), again.Do("CLUSTER", "MYID"))
}

func TestShape3_9AConsumerThatWentAwayGetsNoJob(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, c *servertest.Client){
		"end of file": func(t *testing.T, c *servertest.Client) { require.NoError(t, c.Conn.Close()) },
		"half closed": func(t *testing.T, c *servertest.Client) { require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite()) },
		"reset": func(t *testing.T, c *servertest.Client) {
			require.NoError(t, c.Conn.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Conn.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := servertest.Start(t)
			c, gone := srv.Dial(t), srv.Dial(t)
			gone.Send(bulks("GETJOB", "FROM", "q"))
			blockedClients(t, c, 1)
			leave(t, gone)
			blockedClients(t, c, 0)
			id := c.Job("q", "x", "RETRY", "0")
			require.Equal(t, []string{id}, fetchIDs(t, c, "q", 1))
		})
	}
}

func TestShape3_10APipelineIsAnsweredInOnePiece(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("q", strings.Repeat("x", 1000))
	_, err := c.Conn.Write([]byte(strings.Repeat(bulks("SHOW", id), 20)))
	require.NoError(t, err)
	b := make([]byte, 64<<10)
	n, err := c.Conn.Read(b)
	require.NoError(t, err)
	require.Equal(t, 20, strings.Count(string(b[:n]), "*30\r\n"))
	require.Equal(t, 20, strings.Count(string(b[:n]), "$1000\r\n"+strings.Repeat("x", 1000)+"\r\n"))
}

func TestShape3_11ErrorTexts(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	const unknown = "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"
	c.Job("full", "x")
	require.Equal(t, "+in\r\n", c.Do("PAUSE", "paused", "in"))
	for _, row := range []struct {
		line, want string
	}{
		{"SHOW bad", "BADID Invalid Job ID format."},
		{"ACKJOB bad", "BADID Invalid Job ID format."},
		{"WORKING " + unknown, "NOJOB Job not known in the context of this node."},
		{"ADDJOB q x 0 REPLICATE 2", "NOREPL Not enough reachable nodes for the requested replication level (copies wanted 2, possible 1)"},
		{"ADDJOB full x 0 MAXLEN 1", "MAXLEN Queue is already longer than the specified MAXLEN count"},
		{"ADDJOB q x 0 DELAY 5 TTL 5", "ERR The specified DELAY is greater than TTL. Job refused since would never be delivered"},
		{"ADDJOB paused x 0", "PAUSED Queue paused in input, try later"},
		{"GETJOB FROM", "ERR syntax error"},
		{"NOSUCH", "ERR unknown command 'NOSUCH'"},
		{"SHOW", "ERR wrong number of arguments for 'show' command"},
	} {
		require.Equal(t, "-"+row.want+"\r\n", c.Do(strings.Fields(row.line)...), row.line)
	}
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "pw"))
	require.Equal(t, noAuth, srv.Dial(t).Do("SHOW", unknown))
}

func TestShape3_12Counts(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	const unknown = "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"
	for _, cmd := range []string{"ACKJOB", "FASTACK", "NACK", "ENQUEUE", "DEQUEUE", "DELJOB"} {
		require.Equal(t, ":0\r\n", c.Do(cmd), cmd)
		require.Equal(t, ":0\r\n", c.Do(cmd, unknown), cmd)
		require.Equal(t, "-BADID Invalid Job ID format.\r\n", c.Do(cmd, unknown, "bad"), cmd)
	}
	id := c.Job("q", "x")
	require.Equal(t, ":300\r\n", c.Do("WORKING", id), "WORKING works for a job that is still queued")
	require.Equal(t, ":1\r\n", c.Do("ENQUEUE", id))
	require.Equal(t, ":0\r\n", c.Do("ENQUEUE", id))
	require.Equal(t, ":1\r\n", c.Do("DEQUEUE", id, id))
	require.Equal(t, ":1\r\n", c.Do("NACK", id, id))
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
	require.Equal(t, ":0\r\n", c.Do("ACKJOB", id))
	require.Regexp(t, `^-NOJOB `, c.Do("WORKING", id))
	require.Equal(t, ":2\r\n", c.Do("FASTACK", c.Job("q", "x"), unknown, c.Job("q", "x")))
	require.Equal(t, ":1\r\n", c.Do("DELJOB", c.Job("q", "x")))
}

func TestShape3_13WhatSuitesUse(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("NOHANG", "x")
	require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n"+bulk("NOHANG"), c.Do("QSCAN"))
	require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n+"+id+"\r\n", c.Do("JSCAN"))
	require.Equal(t, "*1\r\n"+bulks("NOHANG", id, "x"), c.Do("GETJOB", "FROM", "COUNT", "NOHANG", "TIMEOUT"), "words after FROM are queues")
	require.Equal(t, ok, c.Do("DEBUG", "FLUSHALL"))
	require.Nil(t, decode(t, c.Do("SHOW", id)))
	require.Nil(t, decode(t, c.Do("QSTAT", "NOHANG")))
	require.Equal(t, "0", c.Info("jobs", "registered_jobs"))
	require.Equal(t, "0", c.Info("queues", "registered_queues"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "x"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", ""))
	require.Equal(t, ok, c.Do("CONFIG", "RESETSTAT"))
	require.Equal(t, "+Background append only file rewriting started\r\n", c.Do("BGREWRITEAOF"))
}

func TestShape3_14Inline(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--requirepass", "pw").Dial(t)
	c.Send("AUTH pw\r\n")
	require.Equal(t, ok, c.Raw())
	c.Send("info\r\n")
	require.Contains(t, c.Raw(), "# Server\r\n")
	c.Send("ADDJOB q \"quoted \\x01\" 0\r\n")
	id := decode(t, c.Raw()).(string)
	require.Equal(t, "*1\r\n"+bulks("q", id, "quoted \x01"), c.Do("QPEEK", "q", "1"))
	c.Send("ADDJOB 'it\\'s' \"\\n\\t\\\\\" 0\n")
	id = decode(t, c.Raw()).(string)
	require.Equal(t, "*1\r\n"+bulks("it's", id, "\n\t\\"), c.Do("QPEEK", "it's", "1"))
}

// telegraf are the fields that telegraf's inputs.disque takes as numbers.
const telegraf = "uptime_in_seconds connected_clients blocked_clients used_memory used_memory_rss used_memory_peak " +
	"total_connections_received total_commands_processed instantaneous_ops_per_sec latest_fork_usec mem_fragmentation_ratio " +
	"used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children registered_jobs registered_queues"

func TestShape3_15InfoNumbersParse(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, _ int) {
		c.Job("q", strings.Repeat("x", 3000))
		text := decode(t, c.Do("INFO")).(string)
		values := map[string]string{}
		for _, line := range strings.Split(text, "\r\n") {
			if key, value, found := strings.Cut(line, ":"); found {
				require.NotContains(t, values, key, "a key appears twice")
				values[key] = value
			}
		}
		for _, key := range strings.Fields(telegraf) {
			require.Contains(t, values, key)
			n, err := strconv.ParseFloat(values[key], 64)
			require.NoError(t, err, key)
			require.GreaterOrEqual(t, n, 0.0, key)
		}
		_, port, err := net.SplitHostPort(srv.Addr)
		require.NoError(t, err)
		for key, want := range map[string]string{"loading": "0", "registered_jobs": "1", "registered_queues": "1", "tcp_port": port, "disque_version": "0.0.0"} {
			require.Equal(t, want, values[key], key)
		}
	})
}

// infoFields are the fields of the reference, section by section.
var infoFields = map[string]string{
	"Server": "disque_version disque_git_sha1 disque_git_dirty disque_build_id os arch_bits multiplexing_api gcc_version process_id " +
		"run_id tcp_port uptime_in_seconds uptime_in_days hz executable config_file",
	"Clients": "connected_clients client_longest_output_list client_biggest_input_buf blocked_clients",
	"Memory":  "used_memory used_memory_human used_memory_rss used_memory_peak used_memory_peak_human mem_fragmentation_ratio mem_allocator",
	"Jobs":    "registered_jobs", "Queues": "registered_queues",
	"Persistence": "loading aof_enabled aof_state aof_rewrite_in_progress aof_rewrite_scheduled aof_last_rewrite_time_sec " +
		"aof_current_rewrite_time_sec aof_last_bgrewrite_status aof_last_write_status",
	"Stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes " +
		"instantaneous_input_kbps instantaneous_output_kbps rejected_connections latest_fork_usec",
	"Cluster": "cluster_known_nodes cluster_reachable_nodes cluster_linked_nodes cluster_leaving cluster_bus_port gossip_messages_sent " +
		"gossip_messages_received link_messages_sent link_messages_received link_bytes_sent link_bytes_received link_messages_refused link_messages_unknown",
	"CPU": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
}

func TestShape3_15InfoSections(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	all := decode(t, c.Do("INFO")).(string)
	parts := strings.Split(strings.TrimSuffix(all, "\r\n"), "\r\n\r\n")
	require.Len(t, parts, len(infoFields))
	for _, part := range parts {
		lines := strings.Split(part, "\r\n")
		title, found := strings.CutPrefix(lines[0], "# ")
		require.True(t, found, lines[0])
		for _, key := range strings.Fields(infoFields[title]) {
			require.Regexp(t, `(?m)^`+key+`:`, part, "section %s", title)
		}
		alone := decode(t, c.Do("INFO", strings.ToUpper(title))).(string)
		require.True(t, strings.HasPrefix(alone, "# "+title+"\r\n"))
		require.Equal(t, 1, strings.Count(alone, "# "))
	}
	require.NotContains(t, all, "Commandstats")
	require.Regexp(t, `# Commandstats\r\n(cmdstat_\w+:calls=\d+,usec=\d+,usec_per_call=\d+\.\d+\r\n)+$`, decode(t, c.Do("INFO", "all")))
	require.Regexp(t, `cmdstat_info:calls=\d+`, decode(t, c.Do("INFO", "commandstats")))
	require.Equal(t, "$0\r\n\r\n", c.Do("INFO", "nosuch"))
	require.Equal(t, "-ERR syntax error\r\n", c.Do("INFO", "a", "b"))
}

func TestShape3_16ScoutConnection(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--requirepass", "pw")
	scout := srv.Dial(t)
	require.Equal(t, ok, scout.Do("AUTH", "pw"))
	require.Regexp(t, `^\*3\r\n:1\r\n`, scout.Do("HELLO"))
	require.Equal(t, ok, scout.Do("QUIT"))
	scout.Closed()
	require.Equal(t, noAuth, srv.Dial(t).Do("HELLO"), "answered, not hung")
}
