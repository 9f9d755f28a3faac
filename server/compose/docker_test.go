package compose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	toolTimeout = 90 * time.Second // of one call of docker or Compose
	service     = "disqo"
	portRange   = "21711-21760"       // wider than needed: the engine goes on to the next port at each start
	httpRange   = "22711-22760"       // of the HTTP side
	oldBuilder  = "DOCKER_BUILDKIT=0" // it needs no plugin
)

// project is a cluster of docker-compose.yml under a name of its own.
type project struct {
	t       *testing.T
	name    string
	root    string   // of the checkout
	compose []string // the program
	env     string   // the environment file
	volumes map[string]bool
}

// container is one node as the engine sees it.
type container struct {
	id, name string
	number   int
	running  bool
	health   string
	addr     string // for clients, "" while no port is published
	http     string // of the HTTP side, likewise
	ip       string // in the project's network, "" while it is cut off
}

// needDocker returns Compose as a command line. Without an engine, or without
// Compose, it skips the test; in CI it fails.
func needDocker(t *testing.T) []string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("DISQO_CI") != "" {
		missing = t.Fatalf
	}
	if testing.Short() {
		missing("not with -short: it takes minutes")
	}
	works := func(name string, args ...string) bool {
		ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
		defer cancel()
		return exec.CommandContext(ctx, name, args...).Run() == nil
	}
	if !works("docker", "version") {
		missing("docker is not installed, or its engine does not answer")
	}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if works(compose[0], append(compose[1:], "version")...) {
			return compose
		}
	}
	missing("neither docker compose nor docker-compose is installed")
	return nil
}

// newProject builds the binary and the image. Everything of the project is
// removed when the test ends.
func newProject(t *testing.T) *project {
	compose := needDocker(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	p := &project{t: t, name: fmt.Sprintf("disqotest%d", os.Getpid()), root: root, compose: compose, volumes: map[string]bool{}}
	dir := t.TempDir()
	p.env = filepath.Join(dir, "env")
	require.NoError(t, os.WriteFile(p.env, []byte("DISQO_CLUSTER_SECRET=of a test\nDISQO_PORTS="+portRange+"\nDISQO_HTTP_PORTS="+httpRange+"\nDISQO_IMAGE="+p.name+"\n"), 0o600))
	t.Cleanup(p.remove)

	// The context is what the checkout has after make build.
	for _, name := range []string{"Dockerfile.prebuilt", ".dockerignore", "docker/disqo.conf", "docker/data/.keep"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, "src", name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "src", name), text, 0o644))
	}
	p.run([]string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", filepath.Join(dir, "src", "bin", "disqo"), "./cmd/disqo")
	p.run([]string{oldBuilder}, "docker", "build", "-t", p.name, "-f", filepath.Join(dir, "src", "Dockerfile.prebuilt"), filepath.Join(dir, "src"))
	return p
}

// run runs a program in the checkout and returns what it printed.
func (p *project) run(env []string, name string, args ...string) string {
	p.t.Helper()
	out, complaint, err := p.try(env, name, args...)
	require.NoError(p.t, err, "%s %q: %s%s", name, args, out, complaint)
	return out
}

func (p *project) try(env []string, name string, args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), toolTimeout)
	defer cancel()
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.root, &out, &complaint
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "DISQO_") }), env...)
	err = cmd.Run()
	return out.String(), complaint.String(), err
}

func (p *project) docker(args ...string) string {
	p.t.Helper()
	return strings.TrimSpace(p.run(nil, "docker", args...))
}

// start starts a container that was stopped. It is the engine's fault, not the
// node's, if it cannot do so while it still clears away what ran before: the log
// says so, and it is asked again.
func (p *project) start(id string) {
	p.t.Helper()
	eventually(p.t, startWithin, "docker start", func() string {
		if out, complaint, err := p.try(nil, "docker", "start", id); err != nil {
			p.t.Logf("the engine does not start a container: %v: %s%s", err, out, complaint)
			return err.Error()
		}
		return ""
	})
}

// composeArgs is a command line of Compose for the project.
func (p *project) composeArgs(env string, args ...string) []string {
	return slices.Concat(p.compose[1:], []string{"-p", p.name, "-f", "docker-compose.yml", "--env-file", env}, args)
}

// up brings the cluster up.
func (p *project) up(flags ...string) {
	p.t.Helper()
	p.run(nil, p.compose[0], p.composeArgs(p.env, append([]string{"up", "-d", "--no-build"}, flags...)...)...)
}

// scale adds or removes nodes until there are so many.
func (p *project) scale(n int) {
	p.t.Helper()
	p.up("--no-recreate", "--scale", service+"="+strconv.Itoa(n))
}

// network is the name of the network that Compose made.
func (p *project) network() string { return p.name + "_default" }

// containers returns all nodes, by number, and notes their volumes.
func (p *project) containers() []container {
	p.t.Helper()
	ids := strings.Fields(p.docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name,
		"--filter", "label=com.docker.compose.service="+service))
	if len(ids) == 0 {
		return nil
	}
	var found []struct {
		ID, Name string
		State    struct {
			Running bool
			Health  struct{ Status string }
		}
		Config          struct{ Labels map[string]string }
		Mounts          []struct{ Type, Name string }
		NetworkSettings struct {
			Ports    map[string][]struct{ HostIP, HostPort string }
			Networks map[string]struct{ IPAddress string }
		}
	}
	require.NoError(p.t, json.Unmarshal([]byte(p.docker(append([]string{"inspect"}, ids...)...)), &found))
	var list []container
	for _, f := range found {
		number, err := strconv.Atoi(f.Config.Labels["com.docker.compose.container-number"])
		require.NoError(p.t, err)
		c := container{id: f.ID, name: strings.TrimPrefix(f.Name, "/"), number: number, running: f.State.Running,
			health: f.State.Health.Status, ip: f.NetworkSettings.Networks[p.network()].IPAddress}
		for port, addr := range map[string]*string{"7711/tcp": &c.addr, "8711/tcp": &c.http} {
			if ports := f.NetworkSettings.Ports[port]; len(ports) > 0 {
				require.Equal(p.t, "127.0.0.1", ports[0].HostIP)
				*addr = ports[0].HostIP + ":" + ports[0].HostPort
			}
		}
		for _, m := range f.Mounts {
			if m.Type == "volume" {
				p.volumes[m.Name] = true
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b container) int { return a.number - b.number })
	return list
}

// remove removes whatever the project made. Of a test that failed it shows the
// nodes' logs first.
func (p *project) remove() {
	if p.t.Failed() {
		out, complaint, _ := p.try(nil, p.compose[0], p.composeArgs(p.env, "logs", "--no-color", "--tail", "20")...)
		p.t.Logf("the nodes' last words:\n%s%s", out, complaint)
	}
	_, _, _ = p.try(nil, "docker", "rm", "-f", "-v", p.squatter())
	if out, complaint, err := p.try(nil, p.compose[0], p.composeArgs(p.env, "down", "-v", "-t", "1")...); err != nil {
		p.t.Errorf("removing the cluster: %v: %s%s", err, out, complaint)
	}
	for v := range p.volumes { // of nodes that were scaled away
		_, _, _ = p.try(nil, "docker", "volume", "rm", "-f", v)
	}
	_, _, _ = p.try(nil, "docker", "rmi", p.name)
	for what, args := range map[string][]string{
		"containers": {"ps", "-aq", "--filter", "name=" + p.name},
		"networks":   {"network", "ls", "-q", "--filter", "name=" + p.name},
		"images":     {"images", "-q", p.name},
	} {
		if left, _, err := p.try(nil, "docker", args...); err != nil || left != "" {
			p.t.Errorf("%s are left: %v %s", what, err, left)
		}
	}
}

// squatter is the name of a container that takes an address away.
func (p *project) squatter() string { return p.name + "-squatter" }
