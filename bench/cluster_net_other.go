//go:build !linux

package bench

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// fabric needs network namespaces, which only Linux has.
type fabric struct{}

var errNoFabric = errors.New("bench: a network for the cluster needs Linux")

func newFabric(int) (*fabric, error) { return nil, errNoFabric }

func (f *fabric) close() {}

func (f *fabric) addr(int) string { return "" }

func (f *fabric) cut([]link) error { return errNoFabric }

func (f *fabric) dial(context.Context, string, time.Duration) (*conn, error) {
	return nil, errNoFabric
}

func (f *fabric) start(int, *exec.Cmd) error { return errNoFabric }

func (p *Process) freeze(bool) error { return errNoFabric }
