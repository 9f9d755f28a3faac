package resp

import (
	"slices"
	"strings"
	"testing"
)

// job is a typical command: three arguments, 128 bytes.
var job = multibulk("ADDJOB", "queue", strings.Repeat("x", 94))

func BenchmarkNext(b *testing.B) {
	for _, bench := range []struct {
		name, input string
		commands    int
	}{
		{"job128", job, 1},
		{"job128x100", strings.Repeat(job, 100), 100},
		{"inline", "ADDJOB queue body 0 RETRY 10\r\n", 1},
		{"inlinex100", strings.Repeat("ADDJOB queue body 0 RETRY 10\r\n", 100), 100},
		{"ackjob1000", multibulk(append([]string{"ACKJOB"}, slices.Repeat([]string{strings.Repeat("D", 40)}, 1000)...)...), 1},
		{"body64KiB", multibulk("ADDJOB", "queue", strings.Repeat("x", 64<<10)), 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var d Decoder
			lim := DefaultLimits()
			round := func() (commands int) {
				for in := bench.input; in != ""; {
					n := copy(d.Space(), in)
					d.Fill(n)
					in = in[n:]
					for {
						cmd, ok, err := d.Next(&lim)
						if err != nil {
							b.Fatal(err)
						}
						if !ok {
							break
						}
						_ = cmd
						commands++
					}
				}
				return commands
			}
			for range 20 {
				round() // the buffer finds its size
			}
			b.SetBytes(int64(len(bench.input) / bench.commands))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; {
				n += round()
			}
		})
	}
}

func BenchmarkReply(b *testing.B) {
	var r Reply
	id := []byte(strings.Repeat("D", 40))
	b.ReportAllocs()
	for b.Loop() {
		r.B = r.B[:0]
		r.Array(3)
		r.BulkString("queue")
		r.Bulk(id)
		r.Int(12345)
	}
}
