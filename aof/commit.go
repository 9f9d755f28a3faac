package aof

import (
	"runtime"
	"sync"
)

// waiter is somebody who waits for a position or for the token.
type waiter struct {
	next    *waiter
	pos     Pos
	durable bool // pos is to be synced
	lead    bool // the outcome is the token
	err     error
	wake    chan struct{} // capacity 1
}

var waiterPool = sync.Pool{New: func() any { return &waiter{wake: make(chan struct{}, 1)} }}

// list is a queue of waiters.
type list struct{ head, last *waiter }

func (q *list) push(w *waiter) {
	w.next = nil
	if q.head == nil {
		q.head = w
	} else {
		q.last.next = w
	}
	q.last = w
}

func (q *list) pop() *waiter {
	w := q.head
	if w != nil {
		q.head = w.next
	}
	return w
}

// Commit returns when everything before pos is in the kernel, and under Always
// durable; or with the failure that ended the log. One of those who wait writes
// for all.
func (l *Log) Commit(pos Pos) error {
	return l.await(pos, l.always())
}

// Sync is Commit under Always, whatever the policy is.
func (l *Log) Sync(pos Pos) error { return l.await(pos, true) }

func (l *Log) always() bool { return Policy(l.policy.Load()) == Always }

func (l *Log) reached(pos Pos, durable bool) bool {
	if durable {
		return Pos(l.synced.Load()) >= pos
	}
	return Pos(l.written.Load()) >= pos
}

func (l *Log) await(pos Pos, durable bool) error {
	if l.reached(pos, durable) {
		return nil
	}
	l.mu.Lock()
	if l.reached(pos, durable) {
		l.mu.Unlock()
		return nil
	}
	if lead, err := l.queue(pos, durable); !lead {
		return err
	}
	l.mu.Unlock()
	runtime.Gosched() // whoever is about to append does, and needs no write of its own
	l.mu.Lock()
	err := l.flush(durable)
	l.release()
	return err
}

// queue takes the token, or waits for it and for the position. mu is held, and
// is afterwards if lead is true: then the caller has the token.
func (l *Log) queue(pos Pos, durable bool) (lead bool, err error) {
	if l.err != nil {
		err = l.err
		l.mu.Unlock()
		return false, err
	}
	if !l.busy {
		l.busy = true
		return true, nil
	}
	w := waiterPool.Get().(*waiter)
	w.pos, w.durable, w.lead, w.err = pos, durable, false, nil
	l.waiters.push(w)
	if durable {
		l.durables++
	}
	l.mu.Unlock()
	<-w.wake
	lead, err = w.lead, w.err
	waiterPool.Put(w)
	if lead {
		l.mu.Lock()
	}
	return lead, err
}

// acquire takes the token; mu is held afterwards if there is no error.
func (l *Log) acquire() error {
	l.mu.Lock()
	lead, err := l.queue(forever, false)
	if lead && l.err != nil {
		err = l.err
		l.release()
	}
	return err
}

// release hands the token to the first whose position is not reached, and
// wakes those whose position is, or who wait in vain. mu is held, and let go.
func (l *Log) release() {
	var done, stay list
	for w := l.waiters.pop(); w != nil; w = l.waiters.pop() {
		switch {
		case l.reached(w.pos, w.durable):
			done.push(w)
		case l.err != nil:
			w.err = l.err
			done.push(w)
		default:
			stay.push(w)
			continue
		}
		if w.durable {
			l.durables--
		}
	}
	lead := stay.pop()
	if lead != nil {
		lead.lead = true
		if lead.durable {
			l.durables--
		}
	} else {
		l.busy = false
		l.changed.Broadcast()
	}
	l.waiters = stay
	l.mu.Unlock()
	if lead != nil {
		lead.wake <- struct{}{}
	}
	for w := done.pop(); w != nil; {
		following := done.pop() // w is another's as soon as it is woken
		w.wake <- struct{}{}
		w = following
	}
}

// Tick does what the goroutines of a log that is not Manual would do by now:
// writes what is buffered, syncs under EverySec, makes the next segment. Errors
// are those that Err and Full return.
func (l *Log) Tick() {
	l.provide()
	if l.acquire() != nil {
		return
	}
	_ = l.flush(Policy(l.policy.Load()) != No)
	l.release()
	l.provide()
}
