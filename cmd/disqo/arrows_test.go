package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/disqo/disqo"

// room is what a package may import: packages of ours (from the module's root)
// and modules of others. Its tests may also import testify, the packages in
// tests, and servertest where it may import server.
type room struct {
	ours   []string
	others []string
	tests  []string // of ours and of others, for tests only
	never  []string // parts of the standard library it must not touch
}

// What a deterministic state machine has no business with.
var pure = []string{"context", "log", "math/rand", "net", "os", "sync", "syscall", "time"}

const (
	redcon     = "github.com/tidwall/redcon"
	btree      = "github.com/tidwall/btree"
	match      = "github.com/tidwall/match"
	memberlist = "github.com/hashicorp/memberlist"
	testify    = "github.com/stretchr/testify"
	sys        = "golang.org/x/sys"
	testServer = "server/servertest"
)

// rooms is the table of DESIGN's arrows. A package that is not in it may not
// exist: whoever makes one decides here what it may know.
var rooms = map[string]room{
	"cmd/disqo":           {ours: []string{"cmd/disqo/client", "cmd/disqo/top", "server", "server/config", "server/disqueaof"}, others: []string{"github.com/coreos/go-systemd"}, tests: []string{testServer}},
	"cmd/disqo/client":    {others: []string{redcon}, tests: []string{testServer}},
	"cmd/disqo/top":       {ours: []string{"cmd/disqo/client"}, others: []string{sys, "golang.org/x/term", "golang.org/x/text/width"}, tests: []string{testServer}},
	"cmd/disqo-bench":     {ours: []string{"bench", "bench/load", "bench/compare", "bench/page"}},
	"cmd/disqo-check-aof": {ours: []string{"aof", "store"}},

	// server names the jobs, ids and errors that server/node hands out; only
	// node may do anything to them.
	"server":           {ours: []string{"server/node", "server/acl", "server/certs", "server/config", "server/resp", "server/httpapi", "cluster"}, others: []string{redcon, sys, "golang.org/x/net"}, tests: []string{testServer, "aof", "aof/memfs"}},
	"server/browser":   {tests: []string{testServer, "github.com/chromedp", "github.com/redis/go-redis/v9"}},
	"server/httpapi":   {ours: []string{"server/node"}, others: []string{"github.com/prometheus/client_golang"}, tests: []string{testServer}},
	"server/certs":     {tests: []string{testServer}},
	"server/acl":       {others: []string{match}},
	"server/config":    {ours: []string{"server/acl"}, others: []string{match}},
	"server/disqueaof": {},
	"server/resp":      {others: []string{redcon}},
	"server/node":      {ours: []string{"replication", "aof", "store", "store/planted", "cluster/crowd"}, tests: []string{"aof/memfs", sys}},
	"server/sim":       {ours: []string{"server/node", "replication", "aof", "aof/memfs", "store"}, never: []string{"net", "os/exec"}},
	testServer:         {ours: []string{"server", "server/config"}, others: []string{redcon, testify}},
	"server/durable":   {tests: []string{testServer, "bench/load", sys}},
	"server/cli":       {tests: []string{testServer}},
	"server/clients":   {tests: []string{testServer, "github.com/redis/go-redis/v9", "github.com/gomodule/redigo", "github.com/redis/rueidis"}},
	"server/reference": {tests: []string{testServer}},
	"server/clustered": {tests: []string{testServer, "aof", "aof/memfs", "bench", "store", "server/config", "server", "github.com/redis/go-redis/v9", sys}},
	"server/compose":   {tests: []string{"bench", "github.com/redis/go-redis/v9"}},
	"server/torture":   {tests: []string{testServer, "bench", "store", sys, "github.com/anishathalye/porcupine"}},

	"store":         {ours: []string{"store/planted"}, others: []string{btree}, never: pure},
	"store/planted": {},
	"replication":   {ours: []string{"store", "cluster/crowd"}},
	"aof":           {ours: []string{"store/planted"}, others: []string{sys}, tests: []string{"aof/memfs"}},
	"aof/memfs":     {ours: []string{"aof"}},
	"cluster":       {ours: []string{"cluster/crowd"}, others: []string{memberlist, sys}},
	"cluster/crowd": {},
	"bench":         {ours: []string{"server/sim", "bench/bounds"}, others: []string{redcon, sys}, tests: []string{testServer}},
	"bench/compare": {ours: []string{"bench", "bench/load", "bench/bounds"}, tests: []string{testServer}},
	"bench/load":    {ours: []string{"bench/bounds"}, others: []string{redcon, sys, "github.com/HdrHistogram/hdrhistogram-go"}, tests: []string{testServer}},
	"bench/page":    {ours: []string{"bench/compare", "bench/load"}, others: []string{"gonum.org/v1/plot"}},
	"bench/bounds":  {},

	"docs": {tests: []string{"server/config", "go.yaml.in/yaml/v3"}},
}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// offences returns an arrow too many per line.
func offences(p pkg) (list []string) {
	path, ok := strings.CutPrefix(p.ImportPath, module+"/")
	r, known := rooms[path]
	if !ok || !known {
		return []string{p.ImportPath + " is not in the table of rooms"}
	}
	may := slices.Concat(r.ours, r.others)
	for _, i := range p.Imports {
		if !r.allows(i, may) {
			list = append(list, fmt.Sprintf("%s must not import %s", path, i))
		}
	}
	may = slices.Concat(may, r.tests, []string{path, testify})
	for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
		if !(room{}).allows(i, may) {
			list = append(list, fmt.Sprintf("tests of %s must not import %s", path, i))
		}
	}
	return list
}

// allows reports whether an import is one of the list or of the standard
// library, which is free but for cgo, and for what the room must never touch.
func (r room) allows(path string, may []string) bool {
	if own, ok := strings.CutPrefix(path, module+"/"); ok {
		return slices.Contains(may, own)
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return path != "C" && !slices.ContainsFunc(r.never, func(n string) bool { return within(path, n) })
	}
	return slices.ContainsFunc(may, func(m string) bool { return within(path, m) })
}

// within reports whether a path is that of the parent or below it.
func within(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

// list returns the packages as they are built for a system.
func list(t *testing.T, goos string) (all []pkg) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	require.NoError(t, err, "go list for %s", goos)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

func TestArrows(t *testing.T) {
	t.Parallel()
	// go list runs in another process, so go test does not know what this test
	// depends on and would reuse an old result. Directories read here it knows.
	require.NoError(t, filepath.WalkDir("../..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	}))
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			all := list(t, goos)
			require.Greater(t, len(all), 5)
			for _, p := range all {
				require.Empty(t, offences(p))
			}
		})
	}
}

// The table itself has no cycle, and nothing but cmd and tests knows server.
func TestRoomsAreLayered(t *testing.T) {
	t.Parallel()
	for path := range rooms {
		require.NoError(t, climb(path, nil))
	}
	for path, r := range rooms {
		if !strings.HasPrefix(path, "cmd/") && path != testServer {
			require.NotContains(t, r.ours, "server", path)
		}
		if path != "cmd/disqo-bench" && path != "bench/compare" {
			require.NotContains(t, r.ours, "bench", path)
		}
	}
}

// climb follows the arrows from path and returns an error for a circle.
func climb(path string, above []string) error {
	if slices.Contains(above, path) {
		return fmt.Errorf("a circle: %s -> %s", strings.Join(above, " -> "), path)
	}
	r, ok := rooms[path]
	if !ok {
		return fmt.Errorf("%s is not in the table", path)
	}
	for _, next := range r.ours {
		if err := climb(next, append(slices.Clone(above), path)); err != nil {
			return err
		}
	}
	return nil
}

func TestOffencesAreFound(t *testing.T) {
	t.Parallel()
	ours := func(path string) string { return module + "/" + path }
	for name, test := range map[string]struct {
		pkg  pkg
		want []string
	}{
		"nothing wrong":         {pkg{ours("store"), []string{"fmt", btree}, []string{"testing", testify + "/require"}, []string{ours("store"), "time"}}, nil},
		"below a module":        {pkg{ours("cluster"), []string{sys + "/unix"}, nil, nil}, nil},
		"unknown room":          {pkg{ours("scripting"), nil, nil, nil}, []string{ours("scripting") + " is not in the table of rooms"}},
		"against an arrow":      {pkg{ours("store"), []string{ours("replication")}, nil, nil}, []string{"store must not import " + ours("replication")}},
		"nobody imports server": {pkg{ours("server/node"), []string{ours("server")}, nil, nil}, []string{"server/node must not import " + ours("server")}},
		"another's module":      {pkg{ours("aof"), []string{memberlist}, nil, nil}, []string{"aof must not import " + memberlist}},
		"a longer name":         {pkg{ours("store"), []string{btree + "-extra"}, nil, nil}, []string{"store must not import " + btree + "-extra"}},
		"testify in the product": {pkg{ours("server"), []string{testify + "/require"}, nil, nil},
			[]string{"server must not import " + testify + "/require"}},
		"impure store": {pkg{ours("store"), []string{"time", "net/http"}, nil, nil}, []string{"store must not import time", "store must not import net/http"}},
		"cgo":          {pkg{ours("store"), []string{"C"}, nil, nil}, []string{"store must not import C"}},
		"a test":       {pkg{ours("store"), nil, []string{ours("server")}, []string{redcon}}, []string{"tests of store must not import " + ours("server"), "tests of store must not import " + redcon}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, offences(test.pkg))
		})
	}
}
