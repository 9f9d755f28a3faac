//go:build linux

package durable

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// traffic adds jobs to a queue, each with a body of 1,000 bytes, and acknowledges every third at
// once, until stop is set.
type traffic struct {
	queue string
	stop  atomic.Bool

	mu    sync.Mutex
	acked map[string]bool // by id of the jobs whose ADDJOB was answered
}

// run plays one client.
func (l *traffic) run(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	do := func(words ...string) (string, error) {
		if _, err := c.Write(servertest.Command(words...)); err != nil {
			return "", err
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return "", err
		}
		line, err := r.ReadString('\n')
		return strings.TrimSpace(line), err
	}
	body := strings.Repeat("x", 1000)
	for i := 0; !l.stop.Load(); i++ {
		reply, err := do("ADDJOB", l.queue, body, "0")
		if err != nil || reply[0] != '+' {
			return fmt.Errorf("ADDJOB: %s %w", reply, err)
		}
		id := reply[1:]
		l.note(id, false)
		if i%3 == 0 {
			if reply, err := do("ACKJOB", id); err != nil || reply != ":1" {
				return fmt.Errorf("ACKJOB: %s %w", reply, err)
			}
			l.note(id, true)
		}
	}
	return nil
}

func (l *traffic) note(id string, acked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = acked
}

// known returns what was answered so far.
func (l *traffic) known() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[string]bool, len(l.acked))
	for id, acked := range l.acked {
		known[id] = acked
	}
	return known
}

// restored starts a broker on a backup, as docs/operations.md says it.
func restored(t *testing.T, dir, backup, policy string) *servertest.Client {
	t.Helper()
	fresh := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(fresh, "appendonlydir"), os.DirFS(backup)))
	conf, err := os.ReadFile(filepath.Join(dir, "nodes.conf"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(fresh, "nodes.conf"), conf, 0o600))
	return on(t, fresh, policy).Dial(t)
}

// A backup that is made under load has every job whose ADDJOB was answered
// before, but for those whose ACKJOB was; what the broker does later, and its
// end, changes nothing about it.
func TestBackup(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := on(t, dir, policy, "--aof-segment-size", "1mb")
			c := p.Dial(t)
			once := c.Job("once", "x", "RETRY", "0")
			require.Equal(t, "+in\r\n", c.Do("PAUSE", "paused", "in"))
			load := &traffic{queue: "q", acked: map[string]bool{}}
			var clients sync.WaitGroup
			var failed atomic.Pointer[error]
			for range 4 {
				clients.Go(func() {
					if err := load.run(p.Addr); err != nil {
						failed.CompareAndSwap(nil, &err)
					}
				})
			}
			more := func(n int) {
				enough := len(load.known()) + n
				eventually(t, "load", func() bool { return len(load.known()) >= enough || failed.Load() != nil })
				require.Nil(t, failed.Load())
			}
			more(1500)
			before := load.known()
			reply := c.Do("BACKUP", "backup")
			after := load.known()
			backup := filepath.Join(dir, "backup")
			files, err := filepath.Glob(filepath.Join(backup, "*"))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("*6\r\n$4\r\npath\r\n$%d\r\n%s\r\n$8\r\nsegments\r\n:%d\r\n$5\r\nbytes\r\n", len(backup), backup, len(files)),
				reply[:strings.LastIndex(reply, ":")])
			require.GreaterOrEqual(t, len(files), 3)

			more(1500)
			require.Equal(t, "+Background append only file rewriting started\r\n", c.Do("BGREWRITEAOF"))
			eventually(t, "the segments of the backup are the backup's alone", func() bool {
				_, err := os.Stat(filepath.Join(dir, "appendonlydir", filepath.Base(files[len(files)-2])))
				return os.IsNotExist(err)
			})
			load.stop.Store(true)
			clients.Wait()
			require.Nil(t, failed.Load())
			require.Equal(t, "+OK\r\n", c.Do("DEBUG", "FLUSHALL"))
			p.Kill(t)

			b := restored(t, dir, backup, policy)
			lost, undone, known, everything := 0, 0, 0, load.known()
			for id, acked := range before {
				gone := b.Do("SHOW", id) == "$-1\r\n"
				switch {
				case gone && !acked && !everything[id]: // jobs are acknowledged at once, or never
					lost++
				case !gone && acked:
					undone++
				}
			}
			require.Zero(t, lost, "of %d jobs", len(before))
			require.Zero(t, undone, "acknowledged before")
			for id := range everything {
				_, early := after[id]
				if !early && b.Do("SHOW", id) != "$-1\r\n" {
					known++
				}
			}
			require.LessOrEqual(t, known, 4, "what was not answered when the backup was: one of each client")
			require.NotEqual(t, ":0\r\n", b.Do("QLEN", "q"), "what was queued is")
			require.Equal(t, "+in\r\n", b.Do("PAUSE", "paused", "state"))
			require.NotEqual(t, "$-1\r\n", b.Do("SHOW", once))
			require.Equal(t, "", get(b, "once"), "it may have been delivered since")
		})
	}
}

// Every way to get BACKUP wrong is told what to do instead, and harms nothing.
func TestBackupRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := servertest.ExecIn(t, dir, "--appendonly", "no")
	c := p.Dial(t)
	require.Regexp(t, `^-ERR appendonly is no, .*: CONFIG SET appendonly yes,`, c.Do("BACKUP", "backup"))
	require.NoDirExists(t, filepath.Join(dir, "backup"))
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendonly", "yes"))
	eventually(t, "the log", func() bool { return info(c, "aof_state") == "on" })
	id := c.Job("q", "x")
	elsewhere := smallDisk(t, 1<<20)
	for path, want := range map[string]string{
		"":                               `^-ERR the path has 0 bytes: give one of 1 to 4096`,
		strings.Repeat("x", 5000):        `^-ERR the path has 5000 bytes: give one of 1 to 4096`,
		"appendonlydir":                  `/appendonlydir exists and is not empty: give another path`,
		"nodes.conf":                     `/nodes.conf cannot be made \(not a directory\): give a path in`,
		"nodes.conf/x":                   `/nodes.conf/x cannot be made \(not a directory\): give a path in`,
		"a\x00b":                         `cannot be made \(invalid argument\): give a path in`,
		"/proc/x":                        `^-ERR /proc/x cannot be made \(no such file or directory\): give a path in`,
		filepath.Join(elsewhere, "copy"): `/copy is not on the same file system as .*/appendonlydir, and a backup is made of hard links: give a path on that one`,
	} {
		require.Regexp(t, want, c.Do("BACKUP", path))
	}
	left, err := os.ReadDir(filepath.Join(elsewhere, "copy"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, "+OK\r\n", c.Do("MULTI"))
	require.Regexp(t, `^-ERR backup is not allowed in MULTI`, c.Do("BACKUP", "x"))
	require.Equal(t, "+OK\r\n", c.Do("DISCARD"))
	for _, path := range []string{"one", filepath.Join(dir, "deep", "two")} {
		require.Regexp(t, `^\*6\r\n`, c.Do("BACKUP", path))
	}
	require.Regexp(t, `/one exists and is not empty: give another path`, c.Do("BACKUP", "one"))
	p.Kill(t)
	b := restored(t, dir, filepath.Join(dir, "deep", "two"), "always")
	require.Equal(t, "queued", show(t, b, id, "state"))
}

// The commands of docs/operations.md make a backup and restore it.
func TestBackupAsDocumented(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "redis-cli")
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Backup\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	require.Len(t, blocks, 2)

	dir, disk, bin := t.TempDir(), t.TempDir(), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/disqo-check-aof")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	p := on(t, dir, "everysec")
	_, port, err := net.SplitHostPort(p.Addr)
	require.NoError(t, err)
	run := func(block string) string {
		script := strings.NewReplacer("redis-cli -p 7711", "redis-cli -e -p "+port, "/var/lib/disqo", dir, "/mnt/backups", disk).Replace(block)
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	c := p.Dial(t)
	id := c.Job("q", "x")
	require.Regexp(t, `(?s)backup-monday.*segments\n2\nbytes\n`, run(blocks[0][1]))
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
	c.Job("q", "later")
	require.Zero(t, p.Terminate(t))
	require.Contains(t, run(blocks[1][1]), "1 jobs to load")
	c = on(t, dir, "everysec").Dial(t)
	require.Equal(t, ":1\r\n", c.Do("QLEN", "q"))
	require.Equal(t, "queued", show(t, c, id, "state"))
}
