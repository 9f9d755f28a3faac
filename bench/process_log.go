package bench

import (
	"regexp"
	"sync"
)

var addresses = regexp.MustCompile(`addresses="?\[+([0-9.]+:\d+)[\] ]`)

// processLog keeps the end of a log and reports the first address in it.
type processLog struct {
	mu   sync.Mutex
	text []byte
	told bool
	addr chan string // capacity 1
}

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if !l.told {
		if m := addresses.FindSubmatch(l.text); m != nil {
			l.told = true
			l.addr <- string(m[1])
		}
	}
	if len(l.text) > 2*logKept {
		l.text = append(l.text[:0], l.text[len(l.text)-logKept:]...)
	}
	return len(b), nil
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[max(0, len(l.text)-logKept):])
}
