package disqueaof

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func quiet(int64, int) {}

func read(text string) (*Log, error) { return Read(strings.NewReader(text), quiet) }

// command encodes a command.
func command(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// jobID is the id of the nth job of a test.
func jobID(n int) string { return fmt.Sprintf("D-01234567-%024d-05a1", n) }

// serialized returns a job as Disque writes it, with one node.
func serialized(n int, state State, queue, body string) string {
	le := binary.LittleEndian
	b := append(make([]byte, 4), jobID(n)...)
	b = append(b, byte(state)|0x70, flagDelivered|1)
	b = le.AppendUint16(b, 3)
	b = le.AppendUint32(b, 4_000_000_000)
	b = le.AppendUint64(b, 1_700_000_000_000_000_007)
	b = le.AppendUint32(b, 60)
	b = le.AppendUint32(b, 4_294_967_295)
	b = le.AppendUint16(b, 5)
	b = le.AppendUint16(b, 6)
	for _, text := range []string{queue, body} {
		b = append(le.AppendUint32(b, uint32(len(text))), text...)
	}
	b = append(le.AppendUint32(b, 1), strings.Repeat("a", nodeIDLen)...)
	le.PutUint32(b, uint32(len(b)-4))
	return string(b)
}

func load(n int) string {
	return command("LOADJOB", serialized(n, Queued, "q", fmt.Sprint("body ", n)))
}

func ids(l *Log) []string {
	var all []string
	for id := range maps.Keys(l.Jobs) {
		all = append(all, id.String())
	}
	slices.Sort(all)
	return all
}

func TestParseJob(t *testing.T) {
	t.Parallel()
	got, err := ParseJob([]byte(serialized(7, Active, "q\x00\xff\r\n", "")))
	require.NoError(t, err)
	require.Equal(t, &Job{
		ID: ID([]byte(jobID(7))), State: Active, Delivered: true, Replicate: 3, Expires: 4_000_000_000,
		Created: 1_700_000_000_000_000_007, Delay: 60, Retry: 4_294_967_295, Nacks: 5, Deliveries: 6,
		Queue: []byte("q\x00\xff\r\n"), Body: []byte{},
	}, got)
}

func TestJobsThatAreNone(t *testing.T) {
	t.Parallel()
	whole := serialized(1, Queued, "queue", "body")
	with := func(at int, bytes string) string { return whole[:at] + bytes + whole[at+len(bytes):] }
	for name, test := range map[string]struct {
		in   string
		want error
	}{
		"nothing":              {"", errShort},
		"fixed part is cut":    {whole[:atQueue-1], errShort},
		"length too small":     {with(atLength, "\x10\x00\x00\x00"), errLength},
		"length of 4 GiB":      {with(atLength, "\xff\xff\xff\xff"), errLength},
		"more behind":          {whole + "x", errLength},
		"no id":                {with(atID, "E-"), errID},
		"state":                {with(atState, "\x04"), errNoState},
		"queue of 4 GiB":       {with(atQueue, "\xff\xff\xff\xff"), errShort},
		"body of 4 GiB":        {with(atQueue+4+5, "\xff\xff\xff\xff"), errShort},
		"4 Gi nodes":           {with(atQueue+4+5+4+4, "\xff\xff\xff\xff"), errShort},
		"no nodes, but an id":  {with(atQueue+4+5+4+4, "\x00\x00\x00\x00"), errLength},
		"body swallows what's": {with(atQueue+4+5, "\x30\x00\x00\x00"), errShort},
	} {
		_, err := ParseJob([]byte(test.in))
		require.ErrorIs(t, err, test.want, name)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	state := func(n int, s State) string { return command("LOADJOB", serialized(n, s, "q", "")) }
	for name, test := range map[string]struct {
		in   string
		want []int
	}{
		"nothing":                    {"", nil},
		"jobs":                       {load(1) + load(2), []int{1, 2}},
		"one is gone":                {load(1) + load(2) + command("DELJOB", jobID(1)), []int{2}},
		"many are gone":              {load(1) + load(2) + load(3) + command("DELJOB", jobID(1), jobID(3)), []int{2}},
		"gone, and there again":      {load(1) + command("DELJOB", jobID(1)) + load(1), []int{1}},
		"gone before it came":        {command("DELJOB", jobID(1)) + load(1), []int{1}},
		"all states":                 {state(0, WaitRepl) + state(1, Active) + state(2, Queued) + state(3, Acked), []int{0, 1, 2}},
		"small letters":              {command("loadjob", serialized(1, Queued, "q", "")) + command("deljob", jobID(1)), nil},
		"as the module writes":       {command("SELECT", "0") + load(1) + load(2) + command("ACKJOB", jobID(1)), []int{2}},
		"commands within bodies":     {command("LOADJOB", serialized(1, Queued, "q", command("DELJOB", jobID(1)))), []int{1}},
		"nobody checks the alphabet": {command("DELJOB", "D-????????-????????????????????????-????"), nil},
	} {
		l, err := read(test.in)
		require.NoError(t, err, name)
		var want []string
		for _, n := range test.want {
			want = append(want, jobID(n))
		}
		require.Equal(t, want, ids(l), name)
		require.Equal(t, int64(len(test.in)), l.Size, name)
		require.Zero(t, l.Cut, name)
	}
}

// What is known of a job stays, as in Disque; the module tells that it was taken.
func TestReadTwice(t *testing.T) {
	t.Parallel()
	again := command("LOADJOB", serialized(1, Queued, "q", "another"))
	l, err := read(load(1) + again + command("DEQUEUE", jobID(1)) + command("DEQUEUE", jobID(2)))
	require.NoError(t, err)
	j := l.Jobs[ID([]byte(jobID(1)))]
	require.Equal(t, "body 1", string(j.Body))
	require.Equal(t, Active, j.State)
	require.Equal(t, int64(2), l.Loaded)
}

func TestCorrupt(t *testing.T) {
	t.Parallel()
	const loadJob = "*2\r\n$7\r\nLOADJOB\r\n"
	behind := load(1) + load(2)
	for name, test := range map[string]struct{ in, want string }{
		"zeros":                          {"\x00\x00\x00", `'\x00' instead of '*'`},
		"a snapshot of Redis":            {"REDIS0009", `'R' instead of '*'`},
		"no arguments":                   {"*0\r\n", "without a name"},
		"many arguments":                 {"*1025\r\n", "no number up to 1024"},
		"negative":                       {"*-1\r\n", "no number"},
		"a line of numbers":              {"*99999999999999\r\n", "does not end"},
		"no end of line":                 {"*111111111111111111111", "does not end"},
		"no carriage return":             {"*2\n", "carriage return"},
		"no line":                        {"*\n", "carriage return"},
		"no number":                      {"*\r\n", "no number"},
		"an argument that is none":       {"*1\r\n:1\r\n", `':' instead of '$'`},
		"a long name":                    {"*1\r\n$33\r\n", "no number up to 32"},
		"an argument of 2 GiB":           {loadJob + "$2147483648\r\n", "no number up to"},
		"an argument without end":        {"*1\r\n$6\r\nSELECT\n\n", `followed by "\n\n"`},
		"another command":                {command("FLUSHALL"), `"FLUSHALL" is no command`},
		"LOADJOB of none":                {command("LOADJOB"), "0 arguments"},
		"LOADJOB of two":                 {command("LOADJOB", "", ""), "2 arguments"},
		"LOADJOB of nothing":             {command("LOADJOB", ""), "shorter"},
		"DELJOB of no id":                {command("DELJOB", "D-"), "id is none"},
		"a length that swallows jobs":    {loadJob + "$9999\r\n" + serialized(1, Queued, "q", "") + behind, "another length than it says"},
		"a length that swallows DELJOBs": {"*2\r\n$6\r\nDELJOB\r\n$400\r\n" + jobID(1) + "\r\n" + behind, "argument of 400 bytes"},
		"a number that swallows jobs":    {strings.Replace(load(1), "*2", "*3", 1) + behind, `'*' instead of '$'`},
	} {
		l, err := read(behind + test.in)
		var corrupt *CorruptError
		require.ErrorAs(t, err, &corrupt, name)
		require.Nil(t, l, name)
		require.Equal(t, int64(len(behind)), corrupt.Offset, name)
		require.Contains(t, err.Error(), test.want, name)
		require.Error(t, corrupt.Unwrap(), name)
	}
}

// A node that was killed leaves a file that may end anywhere.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	commands := []string{load(1), load(2), command("DELJOB", jobID(1)), command("SELECT", "0"), load(3)}
	all := strings.Join(commands, "")
	for n := range len(all) {
		l, err := read(all[:n])
		require.NoError(t, err, "%d", n)
		whole, size := 0, 0
		for whole < len(commands) && size+len(commands[whole]) <= n {
			size += len(commands[whole])
			whole++
		}
		require.Equal(t, int64(size), l.Size, "%d", n)
		require.Equal(t, int64(n-size), l.Cut, "%d", n)
		want, err := read(all[:size])
		require.NoError(t, err)
		require.Equal(t, ids(want), ids(l), "%d", n)
	}
}

// Memory is taken for what is there, not for what is announced.
func TestAnnouncedMemory(t *testing.T) {
	t.Parallel()
	r := newReader(strings.NewReader("*2\r\n$7\r\nLOADJOB\r\n$1000000000\r\nabc"))
	args, err := r.next()
	require.ErrorIs(t, err, errCut)
	require.Equal(t, "abc", string(args[1]))
	require.Less(t, cap(r.buf), 3*readStep)
}

func TestInputThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	in := load(1) + load(2)
	for n := range len(in) {
		l, err := Read(io.MultiReader(strings.NewReader(in[:n]), iotest.ErrReader(broken)), quiet)
		require.ErrorIs(t, err, broken, "%d", n)
		require.EqualError(t, err, fmt.Sprintf("at offset %d: broken disk", n))
		require.Nil(t, l)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var in bytes.Buffer
	for n := range 3 * seldom {
		in.WriteString(load(n))
	}
	size := int64(in.Len())
	last, calls := int64(-1), 0
	_, err := Read(iotest.OneByteReader(&in), func(done int64, live int) {
		require.Greater(t, done, last)
		require.Equal(t, calls*seldom, live)
		last = done
		calls++
	})
	require.NoError(t, err)
	require.Equal(t, 4, calls)
	require.Equal(t, size, last)
}
