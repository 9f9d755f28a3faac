package resp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// event is what a decoder had to say about one command.
type event struct {
	Raw  string
	Args []string
	Err  string
}

// feeder drives a Decoder as a connection does and writes down what comes out.
type feeder struct {
	t      testing.TB
	d      Decoder
	lim    Limits
	events []event
	most   int // the largest Buffered seen before Next has been asked
	peak   int // the largest buffer seen
	grown  int // how often the buffer was replaced by a larger one
}

func newFeeder(t testing.TB, lim Limits) *feeder { return &feeder{t: t, lim: lim} }

// feed has in arrive as one piece. Commands are written down only once the batch is complete: they must stay as they
// were until then.
func (f *feeder) feed(in string) *feeder {
	for in != "" {
		size := len(f.d.buf)
		room := f.d.Space()
		if len(f.d.buf) > size {
			f.grown++
		}
		if len(room) == 0 {
			require.Fail(f.t, "no room to read into")
		}
		n := copy(room, in)
		f.d.Fill(n)
		in = in[n:]
		f.most = max(f.most, f.d.Buffered())
		f.peak = max(f.peak, len(f.d.buf))
		f.drain()
	}
	return f
}

func (f *feeder) drain() {
	type result struct {
		cmd Command
		err error
	}
	var batch []result
	for {
		cmd, ok, err := f.d.Next(&f.lim)
		if !ok && err == nil {
			break
		}
		if _, fatal := err.(*ProtocolError); fatal && len(f.events) > 0 && f.events[len(f.events)-1].Err == err.Error() {
			break // already written down
		}
		batch = append(batch, result{cmd, err})
		if _, fatal := err.(*ProtocolError); fatal {
			break
		}
	}
	for _, r := range batch {
		if r.err != nil {
			f.events = append(f.events, event{Err: r.err.Error()})
			continue
		}
		e := event{Raw: string(r.cmd.Raw)}
		for _, arg := range r.cmd.Args {
			e.Args = append(e.Args, string(arg))
		}
		f.events = append(f.events, e)
	}
}

// feedBy has in arrive in pieces of n bytes.
func (f *feeder) feedBy(n int, in string) *feeder {
	for len(in) > n {
		f.feed(in[:n])
		in = in[n:]
	}
	return f.feed(in)
}

// multibulk encodes a command as clients do.
func multibulk(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.String()
}

// said is an event: the command args with its exact bytes.
func said(raw string, args ...string) event { return event{Raw: raw, Args: args} }

// failed is an event: an error.
func failed(text string) event { return event{Err: text} }
