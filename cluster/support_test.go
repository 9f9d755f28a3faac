package cluster

import "time"

const (
	testWait = 20 * time.Second
	testPoll = 5 * time.Millisecond
)

// discard is a log for memberlist.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
