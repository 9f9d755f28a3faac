package docs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/disqo/disqo/server/config"
)

// object is a part of a YAML document.
type object = map[string]any

// The StatefulSet's parts fit together, and its configuration is one.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	all := manifest(t)
	set := at(t, all["StatefulSet/disqo"], "spec").(object)
	pod := at(t, set, "template", "spec").(object)
	labels := at(t, set, "template", "metadata", "labels")
	for _, selector := range []any{
		at(t, set, "selector", "matchLabels"), at(t, all["PodDisruptionBudget/disqo"], "spec", "selector", "matchLabels"),
		at(t, all["Service/disqo"], "spec", "selector"), at(t, all["Service/disqo-nodes"], "spec", "selector"),
	} {
		require.Equal(t, labels, selector)
	}
	require.Equal(t, 3, at(t, set, "replicas"))
	require.Equal(t, "disqo-nodes", at(t, set, "serviceName"))
	require.Equal(t, "None", at(t, all["Service/disqo-nodes"], "spec", "clusterIP"))
	require.Equal(t, true, at(t, all["Service/disqo-nodes"], "spec", "publishNotReadyAddresses"))

	c := at(t, pod, "containers", 0).(object)
	cfg := load(t, at(t, c, "command").([]any), map[string]string{
		"/etc/disqo/disqo.conf":  at(t, all["ConfigMap/disqo"], "data", "disqo.conf").(string),
		"/etc/disqo/secret.conf": at(t, all["Secret/disqo"], "stringData", "secret.conf").(string),
	}, "/data")
	require.Equal(t, []string{"disqo-nodes"}, cfg.Join)
	require.NotEmpty(t, cfg.RequirePass)
	require.NotEmpty(t, cfg.ClusterSecret)
	require.True(t, cfg.AppendOnly)
	require.Greater(t, at(t, pod, "terminationGracePeriodSeconds"), cfg.ShutdownTimeout)

	ports := named(t, c, "ports", "containerPort")
	require.Equal(t, object{"clients": cfg.Port, "http": cfg.HTTPPort, "bus": cfg.Port + 10000, "gossip": cfg.Port + 10000}, ports)
	for _, service := range []string{"disqo", "disqo-nodes"} {
		for name, port := range named(t, at(t, all["Service/"+service], "spec").(object), "ports", "port") {
			require.Equal(t, ports[name], port, name)
		}
	}
	require.Equal(t, "/healthz", at(t, c, "livenessProbe", "httpGet", "path"))
	require.Equal(t, "/readyz", at(t, c, "readinessProbe", "httpGet", "path"))
	require.Contains(t, ports, at(t, c, "livenessProbe", "httpGet", "port"))
	require.Contains(t, ports, at(t, c, "readinessProbe", "httpGet", "port"))

	require.Equal(t, object{"data": "/data", "config": "/etc/disqo"}, named(t, c, "volumeMounts", "mountPath"))
	require.Equal(t, "data", at(t, set, "volumeClaimTemplates", 0, "metadata", "name"))
	require.Equal(t, "config", at(t, pod, "volumes", 0, "name"))
	for i, kind := range []string{"configMap", "secret"} {
		require.Equal(t, "disqo", at(t, pod, "volumes", 0, "projected", "sources", i, kind, "name"))
	}
}

// manifest returns the documents of kubernetes.yaml by kind and name.
func manifest(t *testing.T) map[string]object {
	t.Helper()
	text, err := os.ReadFile("deploy/kubernetes.yaml")
	require.NoError(t, err)
	all := make(map[string]object)
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		name := at(t, o, "kind").(string) + "/" + at(t, o, "metadata", "name").(string)
		require.NotContains(t, all, name)
		require.NotEmpty(t, at(t, o, "apiVersion"))
		all[name] = o
	}
}

// at returns what is in a document under names and places.
func at(t *testing.T, o any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			require.Contains(t, o, step, "%v", path)
			o = o.(object)[step]
		case int:
			require.Greater(t, len(o.([]any)), step, "%v", path)
			o = o.([]any)[step]
		}
	}
	return o
}

// named returns one field of each element of a list by the elements' names.
func named(t *testing.T, o object, list, field string) object {
	t.Helper()
	fields := make(object)
	for _, element := range at(t, o, list).([]any) {
		fields[at(t, element, "name").(string)] = at(t, element, field)
	}
	return fields
}

// load reads the configuration of a command line as the broker would, with files
// instead of those of the machine, and a directory for dir, which must be the one it says.
func load(t *testing.T, command []any, files map[string]string, dir string) *config.Config {
	t.Helper()
	conf, here := t.TempDir(), t.TempDir()
	for name, text := range files {
		// CONFIG GET shows a directory that exists: the one of the test.
		text = regexp.MustCompile(`(?m)^dir `+dir+`$`).ReplaceAllString(text, "dir "+here)
		require.NoError(t, os.WriteFile(filepath.Join(conf, filepath.Base(name)), []byte(text), 0o600))
	}
	var args []string
	for _, arg := range command[1:] {
		switch text := arg.(string); {
		case files[text] != "":
			args = append(args, filepath.Join(conf, filepath.Base(text)))
		case text == dir:
			args = append(args, here)
		default:
			args = append(args, text)
		}
	}
	set, err := config.Load(args)
	require.NoError(t, err)
	require.Equal(t, here, set.Get().Dir, "dir")
	return set.Get()
}

// The unit's configuration is one, also with all that is commented out, and
// systemd has nothing to say about the unit.
func TestSystemd(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("deploy/disqo.service")
	require.NoError(t, err)
	unit := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^([A-Za-z]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		unit[m[1]] += m[2]
	}
	var command []any
	for _, word := range strings.Fields(unit["ExecStart"]) {
		command = append(command, word)
	}
	conf, err := os.ReadFile("deploy/disqo.conf")
	require.NoError(t, err)
	const file, dir = "/etc/disqo/disqo.conf", "/var/lib/disqo"
	require.Equal(t, dir, "/var/lib/"+unit["StateDirectory"])
	cfg := load(t, command, map[string]string{file: string(conf)}, dir)
	require.Equal(t, []string{"127.0.0.1"}, cfg.Bind)
	require.Equal(t, 10, cfg.ShutdownTimeout, "TimeoutStopSec is twice as long")
	require.Equal(t, "20", unit["TimeoutStopSec"])
	whole := regexp.MustCompile(`(?m)^#(\w\S* \S.*)$`).ReplaceAllString(string(conf), "$1")
	cfg = load(t, command, map[string]string{file: whole}, dir)
	require.NotEmpty(t, cfg.RequirePass)
	require.Len(t, cfg.Join, 2)

	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("the unit is not verified: there is no systemd-analyze")
		return
	}
	there := filepath.Join(t.TempDir(), "disqo.service")
	text = bytes.ReplaceAll(text, []byte("/usr/local/bin/disqo"), []byte("/bin/true"))
	require.NoError(t, os.WriteFile(there, text, 0o600))
	// It verifies the machine's units that this one names, too.
	out, _ := exec.CommandContext(t.Context(), tool, "verify", there).CombinedOutput()
	require.NotContains(t, string(out), "disqo.service")
}
