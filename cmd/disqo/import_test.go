package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// scanned is when Disque listed the jobs of its files (see testdata/README.md of
// server/disqueaof), and now a few seconds later, when short TTLs are over.
var (
	scanned = time.UnixMilli(1796005545382)
	now     = scanned.Add(20 * time.Second)
)

// reference unpacks a file that Disque wrote, or a list that was made from its answers.
func reference(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open("../../server/disqueaof/testdata/" + name + ".gz")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	return text
}

// unpack writes files of the reference into a directory and returns their paths.
func unpack(t *testing.T, dir string, names ...string) (paths []string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, reference(t, name), 0o600))
		paths = append(paths, path)
	}
	return paths
}

// original is a job as Disque showed it.
type original struct {
	id, queue, state      string
	expires, delay, retry int64
	created               int64
	body                  string // length and the beginning of its SHA-256
}

// originals reads a manifest.
func originals(t *testing.T, name string) (jobs []original) {
	t.Helper()
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		return n
	}
	for line := range strings.Lines(string(reference(t, name))) {
		if line[0] == '#' {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		queue, err := strconv.Unquote(f[1])
		require.NoError(t, err)
		jobs = append(jobs, original{f[0], queue, f[2], number(f[4]), number(f[6]), number(f[7]), number(f[5]), f[10] + " " + f[11]})
	}
	return jobs
}

// shown returns the jobs of a broker by id, each as SHOW has it.
func shown(t *testing.T, c *servertest.Client) map[string]map[string]any {
	t.Helper()
	jobs := map[string]map[string]any{}
	reply, ok := servertest.Decode(t, c.Do("JSCAN", "BUSYLOOP", "REPLY", "all")).([]any)
	require.True(t, ok)
	for _, item := range reply[1].([]any) {
		fields := map[string]any{}
		list := item.([]any)
		for i := 0; i < len(list); i += 2 {
			fields[list[i].(string)] = list[i+1]
		}
		jobs[fields["id"].(string)] = fields
	}
	return jobs
}

// registered returns how many jobs a broker has.
func registered(t *testing.T, c *servertest.Client) int {
	t.Helper()
	n, err := strconv.Atoi(c.Info("jobs", "registered_jobs"))
	require.NoError(t, err)
	return n
}

// newIDs reads a ledger of an import that is done: old ids and new ones.
func newIDs(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	ids := map[string]string{}
	for line := range strings.Lines(string(text)) {
		old, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ids[old] = id; id == "-" {
			delete(ids, old)
		}
	}
	return ids
}

// imports runs import-disque by the clock of the reference's files.
func imports(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	o, err := parseImport(args)
	require.NoError(t, err)
	var out, complaint bytes.Buffer
	im := &importer{importOptions: o, now: func() time.Time { return now }, stdout: &out, stderr: &complaint}
	return im.run(), out.String(), complaint.String()
}

// All that two nodes of Disque had is put once, and is as it was.
func TestImportOfACluster(t *testing.T) {
	t.Parallel()
	files := unpack(t, t.TempDir(), "killed.aof", "killed-b.aof")
	c := servertest.Start(t).Dial(t)
	args := append([]string{"--to", c.Conn.RemoteAddr().String(), "--replicate", "1"}, files...)
	code, out, complaint := imports(t, args...)
	require.Equal(t, importDone, code, complaint)
	require.Empty(t, complaint)
	require.Contains(t, out, "2101984 bytes, 11150 LOADJOB, 1050 DELJOB, 10100 jobs live at the end\n")

	ids, jobs := newIDs(t, files[0]+".imported"), shown(t, c)
	require.Equal(t, len(ids), len(jobs), "nothing is put twice")
	seen := map[string]bool{}
	last := map[string]int64{} // by queue
	for _, old := range append(originals(t, "killed.manifest"), originals(t, "killed-b.manifest")...) {
		j := jobs[ids[old.id]]
		if old.retry == 0 {
			require.Nil(t, j, "%s may have been delivered", old.id)
			continue
		}
		require.NotNil(t, j, "%v", old)
		same(t, old, j)
		if !seen[old.id] {
			require.Greater(t, j["ctime"], last[old.queue], "the order of a queue")
			last[old.queue] = j["ctime"].(int64)
		}
		seen[old.id] = true
	}
	require.Equal(t, len(seen), len(jobs), "and nothing but these")
	require.Contains(t, out, strconv.Itoa(len(seen))+" jobs put into ")
	require.Contains(t, out, "800 jobs left out: RETRY 0, and perhaps delivered already")
	require.Contains(t, out, "100 jobs left out: their TTL is over")
}

// same checks that a job is what it was, but for what an import cannot keep.
func same(t *testing.T, old original, j map[string]any) {
	t.Helper()
	body := j["body"].(string)
	sum := sha256.Sum256([]byte(body))
	require.Equal(t, old.body, strconv.Itoa(len(body))+" "+hex.EncodeToString(sum[:4]))
	require.Equal(t, old.queue, j["queue"])
	require.Equal(t, old.retry, j["retry"])
	require.InDelta(t, old.expires-now.Unix(), j["ttl"], 60, "it goes on while this is looked at")
	delay := max(0, old.created/1e9+old.delay-now.Unix())
	require.InDelta(t, delay, j["delay"], 2)
	if delay > 0 {
		require.Equal(t, "active", j["state"])
	} else {
		require.Equal(t, "queued", j["state"])
	}
}

// Of a node that was stopped by SHUTDOWN REWRITE-AOF at-most-once jobs come along if
// it did not deliver them.
func TestImportOfACleanStop(t *testing.T) {
	t.Parallel()
	files := unpack(t, t.TempDir(), "stopped.aof", "killed.aof")
	c := servertest.Start(t).Dial(t)
	to := c.Conn.RemoteAddr().String()
	code, out, complaint := imports(t, "--to", to, "--rewritten", files[0])
	require.Equal(t, importDone, code, complaint)
	require.Contains(t, out, "70 jobs to put\n20 jobs left out: RETRY 0, and delivered already\n70 jobs put into ")
	require.Equal(t, ":30\r\n", c.Do("QLEN", "plain"))
	require.Equal(t, ":20\r\n", c.Do("QLEN", "once"))
	ids, jobs := newIDs(t, files[0]+".imported"), shown(t, c)
	for _, old := range originals(t, "stopped.manifest") {
		if j := jobs[ids[old.id]]; old.queue == "once" && old.state == "active" {
			require.Nil(t, j)
		} else {
			same(t, old, j)
		}
	}

	code, _, complaint = imports(t, "--to", to, "--rewritten", files[1])
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "killed.aof was not written by SHUTDOWN REWRITE-AOF alone, as it has DELJOB: do without --rewritten\n")
}

// Jobs that were on two nodes are on two again, when the import is done.
func TestImportIntoACluster(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "killed-b.aof")[0]
	nodes := servertest.Cluster(t, 2)
	code, out, complaint := imports(t, "--to", nodes[0].Addr, file)
	require.Equal(t, importDone, code, complaint)
	require.Contains(t, out, "\n1400 jobs put into ")
	require.Equal(t, 1400, registered(t, nodes[0].Dial(t)))
	require.Equal(t, 1300, registered(t, nodes[1].Dial(t)))
}

func TestImportDryRun(t *testing.T) {
	t.Parallel()
	files := unpack(t, t.TempDir(), "killed.aof", "killed-b.aof")
	code, out, complaint := imports(t, append(files, "--dry-run", "--to", "127.0.0.1:1")...)
	require.Equal(t, importDone, code, complaint)
	require.Empty(t, complaint)
	for _, want := range []string{
		"\n1300 jobs were in another of these files already\n9200 jobs to put\n", "\n100 jobs left out: their TTL is over\n",
		"\nby state, as the files have it:\n  ", " queued\n", "\nto put, by copies:\n  7900 with REPLICATE 1\n  1300 with REPLICATE 2\n",
		"\n       0       600      0        0  \"once\"\n", "\n       8         0  81920    10240  \"large\"\n",
		`  "q\x00\xff\r\n*1\r\n$4\r\n\"\\"` + "\n", "\nlost: the ids", "more queues\n",
	} {
		require.Contains(t, out, want)
	}
	require.NoFileExists(t, files[0]+".imported")
}

func TestImportByTLS(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "stopped.aof")[0]
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	s := servertest.Start(t, "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File, "--tls-auth-clients", "yes")
	c := s.Dial(t)
	args := []string{"--to", "127.0.0.1:" + c.Info("server", "tls_port"), "--tls", "--cacert", ca.File, file}
	code, _, complaint := imports(t, args...)
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "nothing was put: SELECT at 127.0.0.1:")
	require.Contains(t, complaint, "certificate required")
	cert, key = ca.Issue("client")
	code, _, complaint = imports(t, append(args, "--cert", cert, "--key", key)...)
	require.Equal(t, importDone, code, complaint)
	require.Equal(t, 30, registered(t, c))
}

// Without a broker a new append-only file is made, which a broker is started with.
func TestImportIntoANewFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := unpack(t, dir, "stopped.aof")
	into := filepath.Join(dir, "new", "node")
	code, out, complaint := imports(t, "--into", into, "--rewritten", files[0])
	require.Equal(t, importDone, code, complaint)
	require.Empty(t, complaint)
	require.Contains(t, out, "70 jobs put into "+into)
	c := servertest.Start(t, "--dir", into, "--appendonly", "yes").Dial(t)
	ids, jobs := newIDs(t, files[0]+".imported"), shown(t, c)
	require.Len(t, jobs, 70)
	for _, old := range originals(t, "stopped.manifest") {
		if old.queue != "once" || old.state != "active" {
			same(t, old, jobs[ids[old.id]])
		}
	}

	code, _, complaint = imports(t, "--into", into, "--resume", files[0])
	require.Equal(t, importFailed, code)
	require.Regexp(t, `^disqo: import-disque: nothing was put: --into: .*another process`, complaint, "the broker still has it")
	for _, args := range [][]string{{"--to", "127.0.0.1:1"}, {"--replicate", "2"}} {
		_, err := parseImport(append(args, "--into", into, files[0]))
		require.ErrorContains(t, err, "leave out --to")
	}
}

// An append-only file that is there already is not added to.
func TestImportIntoAnOldFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := unpack(t, dir, "stopped.aof")
	code, _, complaint := imports(t, "--into", dir, files[0])
	require.Equal(t, importDone, code, complaint)
	code, _, complaint = imports(t, "--into", dir, "--progress", filepath.Join(dir, "other"), files[0])
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "there is an append-only file in "+dir)
}
