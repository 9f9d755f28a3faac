package server_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// lastSingleNodeSection is where the transcript turns to a cluster of three.
const lastSingleNodeSection = 6

// intended are the only replies that may differ from the reference's. request
// and reply are written as in the transcript, masks included.
var intended = []struct {
	section        int
	request, reply string
	reason         string // begins with what asks for it: B<n>, design.md or clients.md
}{
	{1, `*1\r\n$5\r\nHELLO\r\n`,
		`*3\r\n:1\r\n$40\r\n<NODE0>\r\n*4\r\n$40\r\n<NODE0>\r\n$9\r\n127.0.0.1\r\n$5\r\n<PORT0>\r\n$1\r\n1\r\n`,
		`clients.md 3.8: "Better than C: report the address the client reached us on"`},
	{6, `*1\r\n$5\r\nHELLO\r\n`,
		`*3\r\n:1\r\n$40\r\n<NODE0>\r\n*4\r\n$40\r\n<NODE0>\r\n$9\r\n127.0.0.1\r\n$5\r\n<PORT0>\r\n$3\r\n100\r\n`,
		`clients.md 3.8: "Better than C: report the address the client reached us on"`},
	{1, `*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n`,
		`%7\r\n$6\r\nserver\r\n$5\r\ndisqo\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:<INT>\r\n` +
			`$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n`,
		`clients.md 2.2: "Redis' reply, RESP3 map %7"`},
	{1, `*2\r\n$7\r\nCOMMAND\r\n$5\r\nCOUNT\r\n`, `:40\r\n`,
		`clients.md 2.7, 2.9, 2.12: MULTI EXEC DISCARD ECHO SELECT READONLY RESET QUIT are commands too`},
	{6, `*2\r\n$6\r\nCLIENT\r\n$5\r\nBOGUS\r\n`, `-ERR unknown subcommand 'BOGUS'. Try CLIENT HELP.\r\n`,
		`clients.md 2.6: "any unknown CLIENT subcommand -> a plain -ERR unknown subcommand '..'. Try CLIENT HELP."`},
}

// TestTranscript replays what the reference was heard to answer, on one node.
func TestTranscript(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, len(intended), 25, "the differences should stay few")
	p := &replay{t: t, srv: servertest.Start(t), conns: map[string]*servertest.Client{}, jobs: map[string]string{}, used: map[int]bool{}}
	p.control = p.srv.Dial(t)
	p.node = bulkOf(p.control.Do("CLUSTER", "MYID"))
	p.port = p.srv.Addr[strings.LastIndexByte(p.srv.Addr, ':')+1:]
	p.run(transcriptLines(t))
	for i, d := range intended {
		require.Regexp(t, `^(B\d+|design\.md|clients\.md)\b`, d.reason, "row %d", i)
		require.True(t, p.used[i], "no exchange of section %d uses the difference for %s", d.section, d.request)
	}
	require.Equal(t, 260, p.pairs, "a part of the transcript was not replayed")
	t.Logf("%d request/reply pairs compared, %d of them differ on purpose", p.pairs, len(p.used))
}

// exchange is a line of the transcript.
type exchange struct {
	number  int // of the line
	section int
	conn    string
	request bool
	text    string // bytes, escaped and masked
	comment string
}

var transcriptLine = regexp.MustCompile(`^(\w+) ([<>]) (.*)$`)

// transcriptLines reads the sections of a single node.
func transcriptLines(t *testing.T) (lines []exchange) {
	text, err := os.ReadFile("testdata/transcript.txt")
	require.NoError(t, err)
	section := 0
	for i, line := range strings.Split(string(text), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section, err = strconv.Atoi(title[:strings.IndexByte(title, '.')])
			require.NoError(t, err)
			if section > lastSingleNodeSection {
				return lines
			}
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		m := transcriptLine.FindStringSubmatch(line)
		require.NotNil(t, m, "line %d: %s", i+1, line)
		body, comment, _ := strings.Cut(m[3], "   # ")
		lines = append(lines, exchange{i + 1, section, m[1], m[2] == ">", body, comment})
	}
	return lines
}

// replay is a transcript being compared with a server.
type replay struct {
	t       *testing.T
	srv     *servertest.Server
	control *servertest.Client // asks about the state, outside the transcript
	conns   map[string]*servertest.Client
	node    string
	port    string
	jobs    map[string]string // n of <JOBn~ssss> -> id
	used    map[int]bool      // rows of intended
	pairs   int
}

func (p *replay) run(lines []exchange) {
	waiting := map[string][]exchange{} // requests not yet answered, by connection
	for i, e := range lines {
		switch {
		case e.request:
			p.waitFor(&e)
			p.conn(e.conn).Send(unescape(p.t, p.fill(e.text)))
			waiting[e.conn] = append(waiting[e.conn], e)
			if next := i + 1; next < len(lines) && (lines[next].request || lines[next].conn != e.conn) && len(waiting[e.conn]) == 1 {
				p.waitBlocked()
			}
		case e.text == "<CLOSED>":
			p.conn(e.conn).Closed()
			delete(p.conns, e.conn)
			delete(waiting, e.conn)
		default:
			require.NotEmpty(p.t, waiting[e.conn], "line %d: a reply without a request", e.number)
			asked := waiting[e.conn][0]
			waiting[e.conn] = waiting[e.conn][1:]
			p.compare(&asked, &e)
		}
	}
	for conn, open := range waiting {
		require.Empty(p.t, open, "connection %s was not answered", conn)
	}
}

func (p *replay) conn(name string) *servertest.Client {
	if p.conns[name] == nil {
		p.conns[name] = p.srv.Dial(p.t)
	}
	return p.conns[name]
}

// waitBlocked waits until the server has a client that waits in GETJOB, so
// that what follows finds it so.
func (p *replay) waitBlocked() {
	eventually(p.t, "a client is blocked", func() bool {
		return p.control.Info("clients", "blocked_clients") == "1"
	})
}

// waitFor lets the time pass that a comment on a request asks for.
func (p *replay) waitFor(e *exchange) {
	switch e.comment {
	case "after more than half of the TTL":
		job := showFields(p.t, p.control, p.idIn(e))
		half := time.UnixMilli(job["ctime"].(int64)/1e6 + job["ttl"].(int64)*1000/2)
		eventually(p.t, "half of the TTL has passed", func() bool { return time.Since(half) > 2*time.Millisecond })
	case "after expiry":
		id := p.idIn(e)
		eventually(p.t, "the job has expired", func() bool { return p.control.Do("SHOW", id) == "$-1\r\n" })
	}
}

// idIn returns the job a request is about.
func (p *replay) idIn(e *exchange) string {
	m := jobMask.FindStringSubmatch(e.text)
	require.NotNil(p.t, m, "line %d names no job", e.number)
	return p.jobs[m[1]]
}

// compare reads a reply and holds it against the transcript.
func (p *replay) compare(asked, e *exchange) {
	got := p.conn(e.conn).Raw()
	p.pairs++
	want := e.text
	for i, d := range intended {
		if d.section == asked.section && d.request == asked.text {
			require.NotEqual(p.t, e.text, d.reply, "line %d: the difference is none", e.number)
			p.used[i] = true
			want = d.reply
		}
	}
	p.match(e.number, want, got, fmt.Sprintf("line %d: %s", asked.number, asked.text))
	if strings.HasPrefix(got, "%7") { // HELLO 3: what follows was heard in RESP2
		require.Contains(p.t, p.conn(e.conn).Do("HELLO", "2"), "*14\r\n")
	}
}

var (
	jobMask  = regexp.MustCompile(`<JOB(\d+)~([0-9a-z]{4})>`)
	portMask = regexp.MustCompile(`\$(\d+)\\r\\n([^$]*)<PORT0>`)
	anyMask  = regexp.MustCompile(`<(JOB\d+~[0-9a-z]{4}|INT~\d+|INT|LEN)>`)
	nearKey  = regexp.MustCompile(`\\r\\n([a-z-]+)\\r\\n:$`)
)

// otherNode stands for <NODEID>, any node that is not ours.
const otherNode = "0123456789abcdef0123456789abcdef01234567"

// fill puts in what is known: nodes, port, jobs that were seen. A bulk that
// holds the port is as much shorter as the port has fewer than five digits.
func (p *replay) fill(text string) string {
	text = portMask.ReplaceAllStringFunc(text, func(s string) string {
		m := portMask.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[1])
		require.NoError(p.t, err)
		return fmt.Sprintf(`$%d\r\n%s%s`, n-5+len(p.port), m[2], p.port)
	})
	text = strings.NewReplacer("<NODE0>", p.node, "<NODEID>", otherNode).Replace(text)
	return jobMask.ReplaceAllStringFunc(text, func(s string) string {
		if id := p.jobs[jobMask.FindStringSubmatch(s)[1]]; id != "" {
			return id
		}
		return s
	})
}

// match compares a reply with a masked one; jobs seen for the first time are
// bound to their number.
func (p *replay) match(line int, want, got, about string) {
	want = p.fill(want)
	var re strings.Builder
	type group struct{ mask, before string }
	var groups []group
	last := 0
	for _, at := range anyMask.FindAllStringSubmatchIndex(want, -1) {
		re.WriteString(regexp.QuoteMeta(latin(unescape(p.t, want[last:at[0]]))))
		mask := want[at[2]:at[3]]
		if suffix, ok := strings.CutPrefix(mask, "JOB"); ok {
			re.WriteString(`(D-` + p.node[:8] + `-[A-Za-z0-9+/]{24}-` + suffix[strings.IndexByte(suffix, '~')+1:] + `)`)
		} else {
			re.WriteString(`(\d+)`)
		}
		groups = append(groups, group{mask, want[last:at[0]]})
		last = at[1]
	}
	re.WriteString(regexp.QuoteMeta(latin(unescape(p.t, want[last:]))))
	m := regexp.MustCompile(`(?s)^` + re.String() + `$`).FindStringSubmatch(latin(got))
	require.NotNil(p.t, m, "%s\nexpected (line %d) %s\nactual   %s", about, line, want, fmt.Sprintf("%q", got))
	for i, g := range groups {
		switch name, value, _ := strings.Cut(g.mask, "~"); {
		case strings.HasPrefix(name, "JOB"):
			p.bind(name[len("JOB"):], m[i+1])
		case value != "":
			p.near(g.before, value, m[i+1], about)
		}
	}
}

// bind gives a job its number; two numbers are never the same job.
func (p *replay) bind(number, id string) {
	if known, ok := p.jobs[number]; ok {
		require.Equal(p.t, known, id, "job %s", number)
		return
	}
	for n, other := range p.jobs {
		require.NotEqual(p.t, other, id, "jobs %s and %s have one id", n, number)
	}
	p.jobs[number] = id
}

// near checks an integer of SHOW or QSTAT by the tolerance of its key: seconds
// to 1, milliseconds to 1000.
func (p *replay) near(before, want, got, about string) {
	key := nearKey.FindStringSubmatch(before)
	require.NotNil(p.t, key, "%s: no key before an approximate integer: %s", about, before)
	tolerance := map[string]float64{"ttl": 1, "age": 1, "idle": 1, "next-requeue-within": 1000, "next-awake-within": 1000}[key[1]]
	require.NotZero(p.t, tolerance, "%s: no tolerance for %s", about, key[1])
	w, err := strconv.ParseFloat(want, 64)
	require.NoError(p.t, err)
	g, err := strconv.ParseFloat(got, 64)
	require.NoError(p.t, err)
	require.InDelta(p.t, w, g, tolerance, "%s: %s", about, key[1])
}

var escape = regexp.MustCompile(`\\(r|n|\\|x[0-9a-f]{2})`)

// unescape turns the transcript's \r \n \\ \xHH into bytes.
func unescape(t *testing.T, s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		switch e[1] {
		case 'r':
			return "\r"
		case 'n':
			return "\n"
		case 'x':
			b, err := strconv.ParseUint(e[2:], 16, 8)
			require.NoError(t, err)
			return string([]byte{byte(b)})
		}
		return `\`
	})
}

// latin makes each byte a character, as expressions are about characters.
func latin(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
