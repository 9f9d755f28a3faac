//go:build !linux

package aof

// Allocate writes zeros, as there is no portable way to ask for blocks.
func (f osFile) Allocate(size int64) error { return f.fillZeros(size) }
