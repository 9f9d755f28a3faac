package servertest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Exchange is a line of the transcript of what the reference was heard to answer.
type Exchange struct {
	Line    int    // number of the line
	Section int    // of the transcript
	Conn    string // the connection it went over; "" if the line only tells what happened
	Request bool   // sent by the client
	Text    string // bytes, escaped and masked; or what happened
	Comment string // at the end of the line
}

var transcriptLine = regexp.MustCompile(`^(\w+) ([<>]) (.*)$`)

// Transcript reads some sections of the transcript.
func Transcript(t testing.TB, path string, first, last int) (lines []Exchange) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	section := 0
	for i, line := range strings.Split(string(text), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section, err = strconv.Atoi(title[:strings.IndexByte(title, '.')])
			require.NoError(t, err)
			continue
		}
		event, happened := strings.CutPrefix(line, "# (")
		if section < first || section > last || line == "" || line[0] == '#' && !happened {
			continue
		}
		if happened {
			lines = append(lines, Exchange{Line: i + 1, Section: section, Text: strings.TrimSuffix(event, ")")})
			continue
		}
		m := transcriptLine.FindStringSubmatch(line)
		require.NotNil(t, m, "line %d: %s", i+1, line)
		body, comment, _ := strings.Cut(m[3], "   # ")
		lines = append(lines, Exchange{i + 1, section, m[1], m[2] == ">", body, comment})
	}
	return lines
}

// NodeName is what the masks of a node stand for.
type NodeName struct{ ID, Port string }

// names are what the masks of a transcript stand for, as far as it is known.
type names struct {
	nodes map[string]NodeName // n of <NODEn> and <PORTn>
	jobs  map[string]string   // n of <JOBn~ssss> -> id
}

var (
	jobMask  = regexp.MustCompile(`<JOB(\d+)~([0-9a-z]{4})>`)
	nodeMask = regexp.MustCompile(`<(NODE|PORT)(\d+)>`)
	portMask = regexp.MustCompile(`\$(\d+)\r\n([^$]*)<PORT(\d+)>`)
	anyMask  = regexp.MustCompile(`<(JOB\d+~[0-9a-z]{4}|INT~\d+|INT|LEN)>`)
	nearKey  = regexp.MustCompile(`\r\n([a-z-]+)\r\n:$`)
	escape   = regexp.MustCompile(`\\(r|n|\\|x[0-9a-f]{2})`)
)

// otherNode stands for <NODEID>, any node that is none of ours.
const otherNode = "0123456789abcdef0123456789abcdef01234567"

// fill turns a text of the transcript into bytes and puts in what is known:
// nodes, ports, jobs that were seen. A bulk string that holds a port is as much
// shorter as the port has fewer than five digits.
func (n *names) fill(text string) string {
	text = escape.ReplaceAllStringFunc(text, func(e string) string {
		switch e[1] {
		case 'r':
			return "\r"
		case 'n':
			return "\n"
		case 'x':
			b, _ := strconv.ParseUint(e[2:], 16, 8) // two digits, says the expression
			return string([]byte{byte(b)})
		}
		return `\`
	})
	text = portMask.ReplaceAllStringFunc(text, func(s string) string {
		m := portMask.FindStringSubmatch(s)
		length, _ := strconv.Atoi(m[1])
		return fmt.Sprintf("$%d\r\n%s<PORT%s>", length-5+len(n.nodes[m[3]].Port), m[2], m[3])
	})
	text = nodeMask.ReplaceAllStringFunc(strings.ReplaceAll(text, "<NODEID>", otherNode), func(s string) string {
		m := nodeMask.FindStringSubmatch(s)
		name, known := n.nodes[m[2]]
		switch {
		case !known:
			return s
		case m[1] == "NODE":
			return name.ID
		}
		return name.Port
	})
	return jobMask.ReplaceAllStringFunc(text, func(s string) string {
		if id := n.jobs[jobMask.FindStringSubmatch(s)[1]]; id != "" {
			return id
		}
		return s
	})
}

// match compares a reply with a masked one and gives the jobs that are seen for
// the first time their numbers. The order of nodes does not count.
func (n *names) match(want, got string) error {
	want, got = unordered(n.fill(want)), unordered(got)
	re, masks := n.pattern(want)
	m := re.FindStringSubmatch(latin(got))
	if m == nil {
		return fmt.Errorf("expected %q\nactual   %q", want, got)
	}
	seen := map[string]string{}
	for i, mask := range masks {
		name, value, _ := strings.Cut(mask.text, "~")
		if number, ok := strings.CutPrefix(name, "JOB"); ok {
			seen[number] = m[i+1]
		} else if value != "" {
			if err := near(mask.before, value, m[i+1]); err != nil {
				return err
			}
		}
	}
	for number, id := range seen {
		for other, known := range n.jobs {
			if known == id {
				return fmt.Errorf("jobs %s and %s have one id, %s", number, other, id)
			}
		}
		n.jobs[number] = id
	}
	return nil
}

// mask is a mask of unknown content, and what stands before it.
type mask struct{ text, before string }

// pattern makes an expression with a group for each mask. A job's id begins
// with that of one of the nodes.
func (n *names) pattern(want string) (*regexp.Regexp, []mask) {
	var makers []string
	for _, node := range n.nodes {
		makers = append(makers, node.ID[:8])
	}
	var re strings.Builder
	var masks []mask
	last := 0
	for _, at := range anyMask.FindAllStringSubmatchIndex(want, -1) {
		re.WriteString(regexp.QuoteMeta(latin(want[last:at[0]])))
		text := want[at[2]:at[3]]
		if suffix, ok := strings.CutPrefix(text, "JOB"); ok {
			re.WriteString(`(D-(?:` + strings.Join(makers, "|") + `)-[A-Za-z0-9+/]{24}-` + suffix[strings.IndexByte(suffix, '~')+1:] + `)`)
		} else {
			re.WriteString(`(\d+)`)
		}
		masks = append(masks, mask{text, want[last:at[0]]})
		last = at[1]
	}
	re.WriteString(regexp.QuoteMeta(latin(want[last:])))
	return regexp.MustCompile(`(?s)^` + re.String() + `$`), masks
}

// near checks an integer of SHOW or QSTAT by the tolerance of its key: seconds
// to 1, milliseconds to 1000.
func near(before, want, got string) error {
	key := nearKey.FindStringSubmatch(before)
	if key == nil {
		return fmt.Errorf("no key before an approximate integer: %q", before)
	}
	tolerance := map[string]int64{"ttl": 1, "age": 1, "idle": 1, "next-requeue-within": 1000, "next-awake-within": 1000}[key[1]]
	w, _ := strconv.ParseInt(want, 10, 64) // digits, say the expressions
	g, err := strconv.ParseInt(got, 10, 64)
	if tolerance == 0 || err != nil || max(w-g, g-w) > tolerance {
		return fmt.Errorf("%s: expected %s to within %d, not %s", key[1], want, tolerance, got)
	}
	return nil
}

// What a reply lists in any order: nodes of HELLO, of CLUSTER NODES, of SHOW.
var anyOrder = []*regexp.Regexp{
	regexp.MustCompile(`\*4\r\n\$40\r\n[0-9a-f]{40}\r\n(?:\$\d+\r\n[^\r]*\r\n){3}`),
	regexp.MustCompile(`[0-9a-f]{40} \S*:\d+ [^\n]+\n`),
	regexp.MustCompile(`\$40\r\n[0-9a-f]{40}\r\n`),
}

// unordered sorts the nodes that a reply lists.
func unordered(text string) string {
	for _, one := range anyOrder {
		text = regexp.MustCompile(`(?:`+one.String()+`)+`).ReplaceAllStringFunc(text, func(run string) string {
			return strings.Join(slices.Sorted(slices.Values(one.FindAllString(run, -1))), "")
		})
	}
	return text
}

// latin makes each byte a character, as expressions are about characters.
func latin(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
