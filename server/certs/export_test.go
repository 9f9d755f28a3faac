package certs

import "time"

// SetClock has a store ask another clock.
func SetClock(s *Store, now func() time.Time) { s.now, s.looked = now, now() }
