package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// meter shows how far something is: on a terminal as a bar that is drawn again and
// again, elsewhere as a line now and then.
type meter struct {
	w     io.Writer
	now   func() time.Time
	bar   bool
	drawn bool // there is a bar that is to be wiped away
	next  time.Time
}

// How often a meter shows something.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

// barWidth is how many characters the bar has.
const barWidth = 30

func newMeter(w io.Writer, now func() time.Time) *meter {
	m := &meter{w: w, now: now, bar: isTerminal(w)}
	m.next = now().Add(m.every())
	return m
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (m *meter) every() time.Duration {
	if m.bar {
		return barEvery
	}
	return lineEvery
}

// show says that done of total is done, if it is time to.
func (m *meter) show(done, total int64, what string) {
	now := m.now()
	if now.Before(m.next) {
		return
	}
	m.next = now.Add(m.every())
	part := 1.0 // of a file that grows, or that has no size
	if done < total {
		part = float64(done) / float64(total)
	}
	if !m.bar {
		fmt.Fprintf(m.w, "disqo: import-disque: %.0f%% %s\n", part*100, what)
		return
	}
	full := int(part * barWidth)
	fmt.Fprintf(m.w, "\r\x1b[K[%s%s] %3.0f%% %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), part*100, what)
	m.drawn = true
}

// end wipes the bar away.
func (m *meter) end() {
	if m.drawn {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}
