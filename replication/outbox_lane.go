package replication

import (
	"math"
	"sync"
)

// chunk is a part of a stream of frames, which may begin and end anywhere.
type chunk struct {
	next  *chunk
	since int64 // when its first byte came, ms
	n     int
	b     [64<<10 - 24]byte
}

// chunks are shared by all links, so that one with a backlog for a while keeps
// nothing of it.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// lane is frames in the order they came.
type lane struct {
	first, last *chunk
	frames      int64
}

func (l *lane) empty() bool { return l.first == nil }

// since returns when the oldest byte came, the end of time if there is none.
func (l *lane) since() int64 {
	if l.empty() {
		return math.MaxInt64
	}
	return l.first.since
}

// add copies whole frames to the end.
func (l *lane) add(frames []byte, now func() int64) {
	l.frames += countFrames(frames)
	for len(frames) > 0 {
		if l.last == nil || l.last.n == len(l.last.b) {
			c := chunks.Get().(*chunk)
			c.next, c.n, c.since = nil, 0, now()
			l.link(c, c)
		}
		n := copy(l.last.b[l.last.n:], frames)
		l.last.n += n
		frames = frames[n:]
	}
}

func (l *lane) link(first, last *chunk) {
	if l.last == nil {
		l.first = first
	} else {
		l.last.next = first
	}
	l.last = last
}

// join moves everything from another lane to the end of this one.
func (l *lane) join(from *lane) {
	if from.empty() {
		return
	}
	l.link(from.first, from.last)
	l.frames += from.frames
	*from = lane{}
}

// head returns the bytes of the first chunk, and of what follows as far as it
// fits into that.
func (l *lane) head() []byte {
	c := l.first
	for c.next != nil && c.n+c.next.n <= len(c.b) {
		next := c.next
		c.n += copy(c.b[c.n:], next.b[:next.n])
		if c.next = next.next; c.next == nil {
			l.last = c
		}
		chunks.Put(next)
	}
	return c.b[:c.n]
}

// drop frees the first chunk and returns its size in bytes.
func (l *lane) drop() int {
	c := l.first
	if l.first = c.next; l.first == nil {
		l.last = nil
	}
	n := c.n
	chunks.Put(c)
	return n
}
