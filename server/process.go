package server

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// processTimes is the processor time of the process and its children.
type processTimes struct{ user, system, childUser, childSystem time.Duration }

// newRunID returns 40 hexadecimal digits that tell one run from another.
func newRunID() string {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw) // crypto/rand.Read never returns an error
	return hex.EncodeToString(raw)
}
