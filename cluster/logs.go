package cluster

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/disqo/disqo/cluster/crowd"
)

const (
	logBytesMax  = 512 // of one of memberlist's lines
	logKindBytes = 40  // by which two of them are taken for the same
)

// bridge is the log of a memberlist: a line for each Write, "[LEVEL]
// memberlist: text".
type bridge struct {
	log   *slog.Logger
	lines *crowd.Lines

	refused *atomic.Int64 // strangers that explained tells of
}

// expected are parts of lines that are the normal life of a cluster whose
// nodes come and go; what matters of that the roster logs.
var expected = []string{
	"Failed to send", "Failed fallback TCP ping", "Failed UDP ping", "Push/Pull with", "Refuting",
	"for unexpected node", "Failed push/pull merge", "ignoring alive message", "Failed to push local state",
	"Failed to receive and remove", "failed to receive and remove", "Failed to send ack", "failed to receive: EOF", "connection reset",
	"use of closed network connection", "broken pipe", "Failed to shutdown", "i/o timeout", "over TCP but UDP probes failed", "Failed to read remote state: EOF",
}

// explained are those that a user can mend, and how.
var explained = []struct{ part, line string }{
	{"unacceptable label", "cluster: a node with another cluster-name tried to talk to this one"},
	{"ecrypt", "cluster: a node with another cluster-secret tried to talk to this one"},
	{"encryption is not configured", "cluster: a node with a cluster-secret tried to talk to this one, which has none"},
	{"is not encrypted", "cluster: a node without the cluster-secret tried to talk to this one"},
}

func (b bridge) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	text := bytes.TrimSpace(line)
	if rest, ok := bytes.CutPrefix(text, []byte("[WARN] ")); ok {
		level, text = slog.LevelWarn, rest
	} else if i := bytes.IndexByte(text, ' '); i > 0 && bytes.HasPrefix(text, []byte("[ERR")) {
		level, text = slog.LevelWarn, text[i+1:]
	}
	if level == slog.LevelDebug && !b.log.Enabled(context.Background(), level) {
		return len(line), nil
	}
	b.emit(level, string(text[:min(len(text), logBytesMax)]))
	return len(line), nil
}

func (b bridge) emit(level slog.Level, text string) {
	host := ""
	if i := strings.LastIndex(text, "from="); i >= 0 { // what goes before may be the stranger's
		host, _, _ = strings.Cut(text[i+len("from="):], " ")
		host = host[:max(0, strings.LastIndexByte(host, ':'))]
	}
	for _, e := range explained {
		if level == slog.LevelWarn && strings.Contains(text, e.part) {
			b.refused.Add(1)
			b.lines.Say(level, crowd.Stranger(host), e.line, "from", host)
			return
		}
	}
	for _, part := range expected {
		if strings.Contains(text, part) {
			level = slog.LevelDebug
		}
	}
	if level == slog.LevelDebug {
		b.log.Debug("cluster: gossip", "text", text)
		return
	}
	kind := text[:min(len(text), logKindBytes)]
	kind = kind[:len(kind)-len(strings.TrimLeftFunc(kind, func(r rune) bool { return r != '"' && !unicode.IsDigit(r) }))]
	b.lines.Say(level, crowd.Stranger(host+" "+kind), "cluster: gossip", "text", text)
}
