package servertest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Difference is a reply that differs from the reference's on purpose. Request
// and Reply are written as in the transcript, masks included.
type Difference struct {
	Section        int
	Line           int // of the request; 0: every such request of the section
	Request, Reply string
	Reason         string // begins with what asks for it: B<n>, design.md or clients.md
}

// Replay compares brokers with what the reference was heard to answer.
type Replay struct {
	Nodes    map[string]NodeName // by the digit of their masks
	Intended []Difference
	// Dial opens a connection of the transcript.
	Dial func(conn string) *Client
	// Before lets happen what a line tells, or a comment on a request asks for.
	Before func(r *Replay, e Exchange)
	// Blocked waits until the request that was just sent waits in the broker;
	// the transcript goes on without its reply.
	Blocked func()
	// Repeat asks a command that only reads again until it answers as it
	// should, as news between nodes takes time.
	Repeat bool

	t     testing.TB
	names names
	conns map[string]*Client
	used  map[int]bool // rows of Intended
	pairs int
}

// news is how long a command that only reads is asked again.
const news = 10 * time.Second

// Run replays lines. All their pairs must be as the transcript or Intended
// says, every row of Intended must be of use.
func (r *Replay) Run(t testing.TB, lines []Exchange, pairs int) {
	t.Helper()
	r.t, r.conns, r.used = t, map[string]*Client{}, map[int]bool{}
	r.names = names{nodes: r.Nodes, jobs: map[string]string{}}
	waiting := map[string][]Exchange{} // requests not yet answered, by connection
	for i, e := range lines {
		switch {
		case e.Conn == "":
			r.Before(r, e)
		case e.Request:
			if e.Comment != "" {
				r.Before(r, e)
			}
			r.conn(e.Conn).Send(r.names.fill(e.Text))
			waiting[e.Conn] = append(waiting[e.Conn], e)
			if next := i + 1; next < len(lines) && (lines[next].Request || lines[next].Conn != e.Conn) && len(waiting[e.Conn]) == 1 {
				r.Blocked()
			}
		case e.Text == "<CLOSED>":
			r.conn(e.Conn).Closed()
			delete(r.conns, e.Conn)
			delete(waiting, e.Conn)
		default:
			require.NotEmpty(t, waiting[e.Conn], "line %d: a reply without a request", e.Line)
			asked := waiting[e.Conn][0]
			waiting[e.Conn] = waiting[e.Conn][1:]
			r.compare(asked, e)
		}
	}
	for conn, open := range waiting {
		require.Empty(t, open, "connection %s was not answered", conn)
	}
	for i, d := range r.Intended {
		require.Regexp(t, `^(B\d+|design\.md|clients\.md)\b`, d.Reason, "row %d", i)
		require.True(t, r.used[i], "no exchange of section %d uses the difference for %s", d.Section, d.Request)
	}
	require.Equal(t, pairs, r.pairs, "a part of the transcript was not replayed")
	t.Logf("%d request/reply pairs compared, %d of them differ on purpose", r.pairs, len(r.used))
}

// Job returns the id of the job that a line is about.
func (r *Replay) Job(e Exchange) string {
	m := jobMask.FindStringSubmatch(e.Text)
	require.NotNil(r.t, m, "line %d names no job", e.Line)
	return r.names.jobs[m[1]]
}

func (r *Replay) conn(name string) *Client {
	if r.conns[name] == nil {
		r.conns[name] = r.Dial(name)
	}
	return r.conns[name]
}

// compare reads a reply and holds it against the transcript.
func (r *Replay) compare(asked, e Exchange) {
	r.pairs++
	want := e.Text
	for i, d := range r.Intended {
		if d.Section == asked.Section && d.Request == asked.Text && (d.Line == 0 || d.Line == asked.Line) {
			require.NotEqual(r.t, e.Text, d.Reply, "line %d: the difference is none", e.Line)
			r.used[i] = true
			want = d.Reply
		}
	}
	c := r.conn(e.Conn)
	got := c.Raw()
	err := r.names.match(want, got)
	if err != nil && r.Repeat && reads(r.names.fill(asked.Text)) {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for end := time.Now().Add(news); err != nil && time.Now().Before(end); <-tick.C {
			c.Send(r.names.fill(asked.Text))
			got = c.Raw()
			err = r.names.match(want, got)
		}
	}
	require.NoError(r.t, err, "line %d, the reply to line %d: %s", e.Line, asked.Line, asked.Text)
	if strings.HasPrefix(got, "%7") { // HELLO 3: what follows was heard in RESP2
		require.Contains(r.t, c.Do("HELLO", "2"), "*14\r\n")
	}
}

// reads reports whether a request, an array of bulk strings, changes nothing.
func reads(request string) bool {
	parts := strings.Split(strings.ToUpper(request), "\r\n")
	if len(parts) < 3 {
		return false
	}
	switch parts[2] {
	case "SHOW", "QSTAT", "QLEN", "INFO", "HELLO":
		return true
	case "CLUSTER":
		return len(parts) > 4 && (parts[4] == "NODES" || parts[4] == "INFO")
	case "PAUSE":
		return len(parts) > 6 && parts[6] == "STATE"
	}
	return false
}
