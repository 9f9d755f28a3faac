//go:build linux

package durable

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/server/servertest"
)

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", bytes)); err != nil {
		servertest.Missing(t, "needs to mount a tmpfs, as root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// On a full disk nothing is added, and says why; acknowledging goes on, makes
// room, and adding resumes by itself. Nothing that was accepted is lost.
func TestFullDiskOfEachPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			dir := smallDisk(t, 16<<20)
			p := on(t, dir, policy, "--aof-segment-size", "1mb")
			c := p.Dial(t)
			body := strings.Repeat("x", 1000)
			var ids []string
			refusal := ""
			eventually(t, "nothing can be squeezed out of the log any more", func() bool {
				for {
					reply := c.Do("ADDJOB", "q", body, "0")
					if strings.HasPrefix(reply, "-") {
						refusal = reply
						break
					}
					ids = append(ids, strings.TrimSpace(reply[1:]))
					require.Less(t, len(ids), 20_000)
				}
				return strings.Contains(p.Log(), "the disk of the append-only file is full") && info(c, "aof_last_write_status") == "err"
			})
			require.Regexp(t, `^-MISCONF Errors writing to the AOF file: .*appendonlydir/\d+\.aof, which needs 1,048,576 bytes: no space left on device`, refusal)
			require.Greater(t, len(ids), 10_000, "most of the disk was used")
			require.Equal(t, "+PONG\r\n", c.Do("PING"))
			require.Equal(t, body, get(c, "q"), "consumers go on")

			half := len(ids) / 2
			for _, id := range ids[:half] {
				require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
			}
			eventually(t, "adding resumes", func() bool {
				reply := c.Do("ADDJOB", "q", "more", "0")
				if strings.HasPrefix(reply, "+") {
					ids = append(ids, strings.TrimSpace(reply[1:]))
					return true
				}
				return false
			})
			require.Equal(t, "ok", info(c, "aof_last_write_status"))
			p.Kill(t)
			c = on(t, dir, policy, "--aof-segment-size", "1mb").Dial(t)
			for _, id := range ids[half:] {
				require.Equal(t, "queued", show(t, c, id, "state"), "lost")
			}
			require.Equal(t, fmt.Sprint(len(ids)-half), info(c, "registered_jobs"))
		})
	}
}

// A disk so full of jobs that live here and there that only a rewrite makes
// room.
func TestFullDiskNeedsRewrite(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 12<<20)
	p := on(t, dir, "everysec", "--aof-segment-size", "1mb", "--auto-aof-rewrite-min-size", "2mb")
	c := p.Dial(t)
	body := strings.Repeat("x", 1000)
	var ids []string
	for {
		reply := c.Do("ADDJOB", "q", body, "0")
		if strings.HasPrefix(reply, "-MISCONF") {
			break
		}
		ids = append(ids, strings.TrimSpace(reply[1:]))
	}
	var kept []string
	for i, id := range ids {
		if i%8 == 0 {
			kept = append(kept, id)
		} else {
			require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
		}
	}
	eventually(t, "adding resumes", func() bool { return strings.HasPrefix(c.Do("ADDJOB", "q", "more", "0"), "+") })
	p.Kill(t)
	c = on(t, dir, "everysec").Dial(t)
	for _, id := range kept {
		require.Equal(t, "queued", show(t, c, id, "state"), "lost")
	}
}

// Jobs are acknowledged in no order on a full disk, over restarts that find it
// full. That never stops, and makes room in the end.
func TestFullDiskAnyOrder(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 24<<20)
	args := []string{"--aof-segment-size", "1mb"}
	p := on(t, dir, "everysec", args...)
	c := p.Dial(t)
	var ids []string
	for full := false; !full; {
		for range 100 {
			c.Send(string(servertest.Command("ADDJOB", "q", strings.Repeat("x", 300), "0")))
		}
		for range 100 {
			if reply := c.Raw(); reply[0] == '+' {
				ids = append(ids, reply[1:41])
			} else {
				full = true
			}
		}
	}
	for range 3 {
		p.Kill(t)
		p = on(t, dir, "everysec", args...)
		c = p.Dial(t)
		require.Equal(t, fmt.Sprint(len(ids)), info(c, "registered_jobs"))
		eventually(t, "the disk is found full", func() bool {
			reply := c.Do("ADDJOB", "q", strings.Repeat("x", 300), "0")
			if reply[0] == '+' {
				ids = append(ids, reply[1:41]) // there was room for that
			}
			return strings.HasPrefix(reply, "-MISCONF") && strings.Contains(p.Log(), "the disk of the append-only file is full")
		})
		require.Equal(t, strings.Repeat("x", 300), get(c, "q"))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for n, id := range ids {
		if reply := c.Do("ACKJOB", id); reply != ":1\r\n" {
			require.Equal(t, ":1\r\n", reply, "%d of %d acknowledged: %s", n, len(ids), c.Do("INFO", "persistence"))
		}
	}
	eventually(t, "adding resumes", func() bool { return strings.HasPrefix(c.Do("ADDJOB", "q", "more", "0"), "+") })
	eventually(t, "it is told", func() bool { return strings.Contains(p.Log(), "has space again") })
}

// A write that fails on allocated space ends the process with its own exit
// code, and nothing is answered after it. The limit on the size of files makes
// writes fail that were fine before.
func TestFailedWriteEndsTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := on(t, dir, "always")
	c := p.Dial(t)
	ids := []string{c.Job("q", "one"), c.Job("q", "two")}
	eventually(t, "the spare", func() bool { return info(c, "aof_segments") == "2" })
	limit := unix.Rlimit{Cur: 256, Max: 256}
	require.NoError(t, unix.Prlimit(p.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
	began := time.Now()
	c.Send(string(servertest.Command("ADDJOB", "q", "three", "0")))
	c.Closed()
	require.Equal(t, 2, p.ExitCode(t))
	require.Less(t, time.Since(began), 5*time.Second)
	require.Regexp(t, `the append-only file failed.*0000000001\.aof.*file too large`, p.Log())
	c = on(t, dir, "always").Dial(t)
	for _, id := range ids {
		require.Equal(t, "queued", show(t, c, id, "state"))
	}
}

// One job delayed for a day does not pin the log: the disk holds three segments
// and three times what lives, whatever passes through.
func TestPinnedLogStaysSmall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const segment = 2 << 20
	p := on(t, dir, "everysec", "--aof-segment-size", "2mb", "--auto-aof-rewrite-min-size", "4mb")
	c := p.Dial(t)
	pinned := c.Job("q", "pinned", "DELAY", "86400", "TTL", "100000")
	body := strings.Repeat("x", 4000)
	most := int64(0)
	for range 8000 {
		c.Send(string(servertest.Command("ADDJOB", "q", body, "0")) + "GETJOB FROM q\r\n")
		id := c.Raw()[1:41]
		c.Raw()
		require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
		most = max(most, diskUsed(t, dir))
	}
	require.Greater(t, 8000*len(body), 10*segment)
	require.LessOrEqual(t, most, int64(3*segment+3*4096))
	p.Kill(t)
	require.Equal(t, "active", show(t, on(t, dir, "everysec").Dial(t), pinned, "state"))
	_, err := os.Stat(filepath.Join(dir, "appendonlydir", "0000000001.aof"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
