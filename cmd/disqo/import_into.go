package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/config"
)

// inner is a broker within this process that makes a new append-only file.
type inner struct {
	addr  string
	end   context.CancelFunc
	ended chan error
}

// innerReady bounds the wait for it.
const innerReady = time.Minute

// startInner starts a broker that keeps its jobs in dir, which is made if need be.
// Only if it goes on with an import may there be an append-only file already.
func startInner(dir string, goesOn bool, stderr io.Writer) (*inner, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("--into: %w", err)
	}
	set, err := config.Load([]string{
		"--dir", dir, "--appendonly", "yes", "--bind", "127.0.0.1", "--port", "0", "--cluster-port", "0",
		"--maxmemory", "0", "--max-job-size", "512mb",
	})
	if err != nil {
		return nil, fmt.Errorf("--into: %w", err)
	}
	aof := set.Get().AOFDir()
	if there, err := os.ReadDir(aof); len(there) > 0 && !goesOn {
		return nil, fmt.Errorf("--into: there is an append-only file in %s already: give a directory without one, or start a broker on it and import --to that", aof)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("--into: %w", err)
	}
	ready := make(chan struct{})
	s, err := server.New(server.Options{
		Config: set, Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError})), Build: buildInfo(),
		Ready: func() { close(ready) },
	})
	if err != nil {
		return nil, fmt.Errorf("--into: %w", err)
	}
	b := &inner{addr: s.Addrs()[0].String(), ended: make(chan error, 1)}
	var ctx context.Context
	ctx, b.end = context.WithCancel(context.Background())
	go func() { b.ended <- s.Run(ctx) }()
	timeout := time.NewTimer(innerReady)
	defer timeout.Stop()
	select {
	case <-ready:
		return b, nil
	case err = <-b.ended:
		b.end()
		return nil, fmt.Errorf("--into: %w", err)
	case <-timeout.C:
		return nil, errors.Join(fmt.Errorf("--into: the append-only file in %s was not read within %v", aof, innerReady), b.stop())
	}
}

// stop ends it. Without an error all that was put is in the append-only file.
func (b *inner) stop() error {
	b.end()
	return <-b.ended
}
