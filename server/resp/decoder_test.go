package resp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proto is the beginning of every protocol error.
const proto = "Protocol error: "

// testLimits are small, so that tests reach them.
func testLimits() Limits {
	lim := DefaultLimits()
	lim.MaxArgs, lim.MaxBulk, lim.MaxCommand = 20, 1000, 5000
	return lim
}

func strangerLimits() Limits {
	lim := testLimits()
	lim.Unauthenticated, lim.UnauthArgs, lim.UnauthBulk = true, 3, 16
	return lim
}

// The table of disque-spec.md 1.1 and what the guard adds to it. Each row arrives whole and byte by byte; a PING
// before it must come out first, and one after it unless the stream has ended.
func TestNext(t *testing.T) {
	t.Parallel()
	k64 := ProtoMaxHeader
	x := func(n int) string { return strings.Repeat("x", n) }
	ids := func(n int) []string { return strings.Split(strings.TrimSuffix(strings.Repeat("id,", n), ","), ",") }
	// sixOf is six arguments of a command of n bytes, around 5000.
	sixOf := func(n int) []string {
		five := []string{x(800), x(800), x(800), x(800), x(800)}
		return append(five, x(n-len(multibulk(append(five, x(900))...))+900))
	}
	for name, row := range map[string]struct {
		lim  Limits
		in   string
		want []event
		ends bool // the error is fatal
	}{
		"multibulk":        {in: "*2\r\n$4\r\nQLEN\r\n$1\r\nq\r\n", want: []event{said("*2\r\n$4\r\nQLEN\r\n$1\r\nq\r\n", "QLEN", "q")}},
		"binary":           {in: multibulk("A", "\x00\r\n*1\r\n$", "\n"), want: []event{said(multibulk("A", "\x00\r\n*1\r\n$", "\n"), "A", "\x00\r\n*1\r\n$", "\n")}},
		"empty name":       {in: "*1\r\n$0\r\n\r\n", want: []event{said("*1\r\n$0\r\n\r\n", "")}},
		"empty argument":   {in: multibulk("QLEN", ""), want: []event{said(multibulk("QLEN", ""), "QLEN", "")}},
		"*0":               {in: "*0\r\n"},
		"*-1":              {in: "*-1\r\n"},
		"*-5, *min":        {in: "*-5\r\n*-9223372036854775808\r\n"},
		"inline CRLF":      {in: "QLEN q\r\n", want: []event{said("QLEN q\r\n", "QLEN", "q")}},
		"inline LF":        {in: "QLEN q\nQLEN r\n", want: []event{said("QLEN q\n", "QLEN", "q"), said("QLEN r\n", "QLEN", "r")}},
		"inline CRLF, LF":  {in: "PING\r\n\n", want: []event{said("PING\r\n", "PING")}},
		"inline tile38":    {in: "$3 GET\r\n", want: []event{said("$3 GET\r\n", "$3", "GET")}},
		"inline plus":      {in: "+OK\r\n", want: []event{said("+OK\r\n", "+OK")}},
		"blank lines":      {in: "\n\r\n \t \r\n\r\r\n\"\" ''\r\n"},
		"inline quotes":    {in: `ADDJOB "a b" 'c d' ""` + "\n", want: []event{said(`ADDJOB "a b" 'c d' ""`+"\n", "ADDJOB", "a b", "c d")}},
		"inline 64 KiB":    {in: "Q " + x(1000) + strings.Repeat(" ", k64-1002) + "\n", want: []event{said("Q "+x(1000)+strings.Repeat(" ", k64-1002)+"\n", "Q", x(1000))}},
		"inline too long":  {in: x(k64 + 1), want: []event{failed(proto + "too big inline request")}, ends: true},
		"too long with LF": {in: x(k64+1) + "\n", want: []event{failed(proto + "too big inline request")}, ends: true},
		"unbalanced":       {in: "QLEN \"q\n", want: []event{failed(proto + "unbalanced quotes in request")}, ends: true},
		"inline job":       {in: "Q " + x(1001) + "\n", want: []event{failed("job of 1001 bytes exceeds max-job-size 1000")}},
		"inline 20 words":  {in: strings.Repeat("a ", 20) + "\n", want: []event{said(strings.Repeat("a ", 20)+"\n", strings.Fields(strings.Repeat("a ", 20))...)}},
		"inline 21 words":  {in: strings.Repeat("a ", 21) + "\n", want: []event{failed(proto + "too many arguments (21), the limit is 20 (max-arguments)")}, ends: true},

		"count: word":      {in: "*abc\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: none":      {in: "*\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: plus":      {in: "*+1\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: zeroes":    {in: "*01\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: minus":     {in: "*-\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: -0":        {in: "*-0\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: space":     {in: "* 1\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: bare LF":   {in: "*1\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: CR inside": {in: "*1\r1\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: 2^20+1":    {in: "*1048577\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: -2^63-1":   {in: "*-9223372036854775809\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"count: 2^20":      {in: "*1048576\r\n", want: []event{failed(proto + "too many arguments (1048576), the limit is 20 (max-arguments)")}, ends: true},
		"count: 21":        {in: "*21\r\n", want: []event{failed(proto + "too many arguments (21), the limit is 20 (max-arguments)")}, ends: true},
		"count: 20":        {in: multibulk(ids(20)...), want: []event{said(multibulk(ids(20)...), ids(20)...)}},
		"count: 64 KiB":    {in: "*" + x(k64), want: []event{failed(proto + "too big mbulk count string")}, ends: true},
		"count: fits":      {in: "*" + x(k64-2) + "\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},

		"bulk: no $":         {in: "*1\r\nP", want: []event{failed(proto + "expected '$', got 'P'")}, ends: true},
		"bulk: control":      {in: "*1\r\n\r\n", want: []event{failed(proto + `expected '$', got '\x0d'`)}, ends: true},
		"bulk: not ASCII":    {in: "*1\r\n\xc3\xa9", want: []event{failed(proto + `expected '$', got '\xc3'`)}, ends: true},
		"bulk: second no $":  {in: "*2\r\n$1\r\na\r\n:1\r\n", want: []event{failed(proto + "expected '$', got ':'")}, ends: true},
		"bulk: word":         {in: "*1\r\n$x\r\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"bulk: none":         {in: "*1\r\n$\r\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"bulk: -1":           {in: "*1\r\n$-1\r\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"bulk: bare LF":      {in: "*1\r\n$1\na\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"bulk: 512 MiB + 1":  {in: "*1\r\n$536870913\r\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"bulk: 64 KiB":       {in: "*1\r\n$" + x(k64), want: []event{failed(proto + "too big bulk count string")}, ends: true},
		"bulk: no CRLF":      {in: "*1\r\n$4\r\nPINGxx", want: []event{failed(proto + "expected CRLF after bulk")}, ends: true},
		"bulk: CR only":      {in: "*1\r\n$4\r\nPING\rx", want: []event{failed(proto + "expected CRLF after bulk")}, ends: true},
		"bulk: LF only":      {in: "*1\r\n$4\r\nPING\n*", want: []event{failed(proto + "expected CRLF after bulk")}, ends: true},
		"bulk: 1000":         {in: multibulk("J", x(1000)), want: []event{said(multibulk("J", x(1000)), "J", x(1000))}},
		"bulk: 1001":         {in: multibulk("J", x(1001), "RETRY"), want: []event{failed("job of 1001 bytes exceeds max-job-size 1000")}},
		"bulk: 1001, 2002":   {in: multibulk("J", x(1001), x(2002), ""), want: []event{failed("job of 1001 bytes exceeds max-job-size 1000")}},
		"oversized, broken":  {in: "*2\r\n$1001\r\n" + x(1001) + "\r\n:1", want: []event{failed(proto + "expected '$', got ':'")}, ends: true},
		"oversized, no CRLF": {in: "*2\r\n$1001\r\n" + x(1003), want: []event{failed(proto + "expected CRLF after bulk")}, ends: true},
		"command: 5000":      {in: multibulk(sixOf(5000)...), want: []event{said(multibulk(sixOf(5000)...), sixOf(5000)...)}},
		"command: 5001":      {in: multibulk(sixOf(5001)...), want: []event{failed("command of 5001 bytes exceeds the limit of 5000")}},
		"command: the sum":   {in: multibulk(x(1000), x(1000), x(1000), x(1000), x(1000), x(1000), "end"), want: []event{failed("command of 6067 bytes exceeds the limit of 5000")}},

		"stranger: AUTH":         {lim: strangerLimits(), in: multibulk("AUTH", "u", "secretsecretsecr"), want: []event{said(multibulk("AUTH", "u", "secretsecretsecr"), "AUTH", "u", "secretsecretsecr")}},
		"stranger: 4 arguments":  {lim: strangerLimits(), in: "*4\r\n", want: []event{failed(proto + "unauthenticated multibulk length")}, ends: true},
		"stranger: 21 arguments": {lim: strangerLimits(), in: "*21\r\n", want: []event{failed(proto + "unauthenticated multibulk length")}, ends: true},
		"stranger: 2^20+1":       {lim: strangerLimits(), in: "*1048577\r\n", want: []event{failed(proto + "invalid multibulk length")}, ends: true},
		"stranger: 17 bytes":     {lim: strangerLimits(), in: "*1\r\n$17\r\n", want: []event{failed(proto + "unauthenticated bulk length")}, ends: true},
		"stranger: 1 GiB":        {lim: strangerLimits(), in: "*1\r\n$1073741824\r\n", want: []event{failed(proto + "invalid bulk length")}, ends: true},
		"stranger: 4 words":      {lim: strangerLimits(), in: "a b c d\n", want: []event{failed(proto + "unauthenticated multibulk length")}, ends: true},
		"stranger: long word":    {lim: strangerLimits(), in: "a " + x(17) + "\n", want: []event{failed(proto + "unauthenticated bulk length")}, ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lim := row.lim
			if lim.MaxArgs == 0 {
				lim = testLimits()
			}
			ping := said("PING\r\n", "PING")
			want := append([]event{ping}, row.want...)
			if !row.ends {
				want = append(want, ping)
			}
			in := "PING\r\n" + row.in + "PING\r\n"
			whole := newFeeder(t, lim).feed(in)
			require.Equal(t, want, whole.events)
			require.Equal(t, want, newFeeder(t, lim).feedBy(1, in).events)
			require.False(t, whole.d.Partial())
			require.Zero(t, whole.d.Buffered())
		})
	}
}

// A protocol error is for good: it is repeated, and what still comes in is neither read nor kept.
func TestProtocolErrorSticks(t *testing.T) {
	t.Parallel()
	f := newFeeder(t, testLimits()).feed("PING\n*x\r\n")
	want := []event{said("PING\n", "PING"), failed(proto + "invalid multibulk length")}
	require.Equal(t, want, f.events)
	for range 1000 {
		f.feed(strings.Repeat("PING\n", 100))
		require.Zero(t, f.d.Buffered())
		require.False(t, f.d.Partial())
	}
	require.Equal(t, want, f.events)
	require.LessOrEqual(t, f.peak, minBuffer)

	_, ok, err := f.d.Next(&f.lim)
	require.False(t, ok)
	var fatal *ProtocolError
	require.ErrorAs(t, err, &fatal)
}

// The two kinds of "too large" carry what the caller may want to count or log.
func TestTooLargeError(t *testing.T) {
	t.Parallel()
	lim := testLimits()
	var d Decoder
	next := func(in string) error {
		d.Fill(copy(d.Space(), in))
		_, ok, err := d.Next(&lim)
		require.False(t, ok)
		return err
	}
	x := strings.Repeat("x", 999)
	require.Equal(t, &TooLargeError{Size: 1001, Limit: 1000}, next(multibulk(x+"xx")))
	long := multibulk(x, x, x, x, x, x)
	require.NoError(t, next(long[:4096]))
	require.Equal(t, &TooLargeError{Size: int64(len(long)), Limit: 5000, Whole: true}, next(long[4096:]))
}

// Limits are those of the moment: AUTH, or CONFIG SET, is effective for the next command of the same pipeline.
func TestLimitsMayChangeBetweenCommands(t *testing.T) {
	t.Parallel()
	lim := strangerLimits()
	var d Decoder
	d.Fill(copy(d.Space(), multibulk("AUTH", "p")+multibulk("a", "b", "c", "d")))
	cmd, ok, err := d.Next(&lim)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "AUTH", string(cmd.Args[0]))

	lim.Unauthenticated = false
	cmd, ok, err = d.Next(&lim)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, cmd.Args, 4)
}

// A command begun under larger limits is finished or refused under the smaller ones, never left without room.
func TestLimitsMayShrinkWithinACommand(t *testing.T) {
	t.Parallel()
	f := newFeeder(t, DefaultLimits())
	body := strings.Repeat("x", 3<<20)
	in := multibulk("ADDJOB", "q", body, "0")
	f.feed(in[:1<<20])
	f.lim.MaxBulk, f.lim.MaxCommand = 1000, 2000
	f.drain()
	f.feed(in[1<<20:])
	f.feed("PING\n")
	require.Equal(t, []event{failed(fmt.Sprintf("command of %d bytes exceeds the limit of 2000", len(in))), said("PING\n", "PING")}, f.events)
}

func TestPartial(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		in   string
		want bool
	}{
		"nothing":              {"", false},
		"blank line":           {"\r\n", false},
		"half a blank line":    {"\r", true},
		"whole commands":       {"PING\n" + multibulk("PING"), false},
		"empty array":          {"*0\r\n", false},
		"first byte":           {"PING\n*", true},
		"inline":               {"PI", true},
		"count only":           {"*1\r\n", true},
		"payload":              {"*1\r\n$4\r\nPI", true},
		"before the last LF":   {"*1\r\n$4\r\nPING\r", true},
		"skipping":             {"*1\r\n$2000\r\nxx", true},
		"skipping, no bytes":   {"*1\r\n$2000\r\n", true},
		"skipping, next arg":   {"*2\r\n$1001\r\n" + strings.Repeat("x", 1001) + "\r\n", true},
		"skipped":              {"*1\r\n$1001\r\n" + strings.Repeat("x", 1001) + "\r\n", false},
		"after protocol error": {"*x\r\nPI", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, newFeeder(t, testLimits()).feed(row.in).d.Partial())
			require.Equal(t, row.want, newFeeder(t, testLimits()).feedBy(1, row.in).d.Partial())
		})
	}
}
