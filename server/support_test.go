package server

import "time"

const (
	waitFor   = 20 * time.Second
	pollEvery = time.Millisecond
)
