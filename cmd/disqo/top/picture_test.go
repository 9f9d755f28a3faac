package top

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cmd/disqo/client"
)

const (
	idA = "aaaaaaaa11111111111111111111111111111111"
	idB = "bbbbbbbb22222222222222222222222222222222"
	idC = "cccccccc33333333333333333333333333333333"
)

// full is a picture with something in every place.
func full() *picture {
	info := parseInfo("# Server\r\ndisqo_version:0.1.0\r\nuptime_in_seconds:273900\r\n\r\n# Clients\r\nconnected_clients:12\r\nblocked_clients:3\r\n" +
		"used_memory:858993459\r\nmaxmemory:1073741824\r\nmemory_level:1\r\nregistered_queues:5000\r\n" +
		"aof_state:on\r\naof_rewrite_in_progress:1\r\naof_last_write_status:err\r\ninstantaneous_ops_per_sec:123456\r\n" +
		"jobs_queued:1234567\r\njobs_active:12\r\njobs_delayed:3\r\njobs_dead:4\r\njobs_wait_repl:5\r\n" +
		"peer0:id=" + idB + ",address=10.0.0.2:7711,linked=1,rtt_usec=180,outbox=0\r\n")
	nodes := idA + " 10.0.0.1:7711 myself 0 0 connected\n" +
		idB + " 10.0.0.2:7711 noflags 0 1 connected\n" +
		idC + " 2001:db8::3:7711@27711 fail?,leaving 1 1 disconnected\n"
	then := time.Now()
	s := func(at time.Time, in, out int64) *sample {
		return &sample{at: at, info: info, nodes: parseNodes(nodes, info), more: true, queues: []queue{
			{name: "mail", length: 1234567, in: 100 + in, out: 100 + out, active: 12, delayed: 3, dead: 4, age: 86399, pause: "none"},
			{name: "evil\x1b[2J\r\n", length: 2, in: 7, out: 7, age: 1, pause: "all"},
			{name: "a queue with a very long name that does not fit", length: 10, pause: "none"},
			{name: "日本語のとても長いキューの名前です", pause: "in"},
		}}
	}
	p := &picture{options: &options{Options: client.Options{Addr: client.DefaultAddr}, interval: time.Second}, by: byLength}
	p.take(s(then, 0, 0))
	p.take(s(then.Add(time.Second), 34567, 5))
	return p
}

// text is the picture as it looks.
func text(p *picture, width, height int) string {
	var b strings.Builder
	for _, l := range p.lines(width, height) {
		b.WriteString(l.render(width, false) + "\n")
	}
	return b.String()
}

func TestPictures(t *testing.T) {
	t.Parallel()
	away := full()
	away.miss(errors.New("127.0.0.1:7711: connect: connection refused"), time.Second)
	paused := full()
	paused.paused, paused.by, paused.options.rows = true, byName, 2
	loading := &picture{options: &options{Options: client.Options{Addr: client.DefaultAddr}, interval: 2 * time.Second}, by: byIn}
	loading.take(&sample{info: map[string]string{"disqo_version": "0.1.0", "loading": "1", "loading_loaded_perc": "43", "aof_state": "loading"}})
	for name, test := range map[string]struct {
		*picture
		width, height int
	}{
		"usual":   {full(), 80, 24},
		"large":   {full(), 110, 18},
		"small":   {full(), 50, 12},
		"once":    {full(), 100, 0},
		"away":    {away, 80, 16},
		"paused":  {paused, 80, 16},
		"loading": {loading, 80, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
			require.NoError(t, err)
			require.Equal(t, string(want), text(test.picture, test.width, test.height))
		})
	}
}

// A picture fits any terminal, and fills it.
func TestPicturesFit(t *testing.T) {
	t.Parallel()
	p := full()
	for width := 1; width < 130; width += 3 {
		for height := 1; height < 40; height++ {
			lines := p.lines(width, height)
			require.Len(t, lines, height, "%dx%d", width, height)
			for _, l := range lines {
				_, used := fit(l.render(width, false), 1000)
				require.LessOrEqual(t, used, width)
			}
		}
	}
}

func TestManyNodes(t *testing.T) {
	t.Parallel()
	p, list := full(), ""
	for i := range 50 {
		flags := "noflags"
		if i == 40 {
			flags = "fail"
		}
		list += fmt.Sprintf("%040d 10.0.0.%d:7711 %s 0 0 connected\n", i, i, flags)
	}
	p.now.nodes = parseNodes(list+idA+" 10.0.1.1:7711 myself 0 0 connected\n", nil)
	shown := text(p, 80, 24)
	require.Contains(t, shown, "and 45 more\n")
	require.Less(t, strings.Index(shown, "myself"), strings.Index(shown, "10.0.0.40:"), "what is wrong is seen")
	require.Contains(t, shown, "日本語", "and queues are, too")
}

func TestColors(t *testing.T) {
	t.Parallel()
	p := full()
	colored := func() (all string) {
		for _, l := range p.lines(80, 24) {
			all += l.render(80, true) + "\n"
		}
		return all
	}
	require.Contains(t, colored(), "\x1b[33m"+strings.Repeat("|", 24)+"\x1b[0m", "memory at level 1")
	require.Contains(t, colored(), "\x1b[31mcccccccc", "a node that is suspected")
	require.Contains(t, colored(), "\x1b[31m      4\x1b[0m", "dead jobs")
	p.now.info["memory_level"] = "2"
	require.Contains(t, colored(), "\x1b[31m||||")
	p.now.info["memory_level"] = "0"
	require.Contains(t, colored(), "\x1b[32m||||")
	p.now.info["maxmemory"] = "0"
	require.Contains(t, colored(), "memory  819.2M, no limit\n")
}
