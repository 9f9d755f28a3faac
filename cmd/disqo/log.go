package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/config"
)

// logFile is where the log goes: standard error, or a file that is opened again when
// somebody has moved it away.
type logFile struct {
	path   string // "" for standard error
	stderr io.Writer

	mu   sync.Mutex
	file *os.File
}

// openLog opens the log of a configuration.
func openLog(cfg *config.Config, stderr io.Writer) (*logFile, error) {
	l := &logFile{stderr: stderr}
	if cfg.LogFile == "" {
		return l, nil
	}
	l.path = cfg.Path(cfg.LogFile)
	return l, l.reopen()
}

// Write implements io.Writer.
func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return l.stderr.Write(b)
	}
	return l.file.Write(b)
}

// reopen goes on in what is at the path now. On an error the file before stays.
func (l *logFile) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("logfile: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file = f
	return nil
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// newLogger returns the logger of a configuration, and its level.
func newLogger(cfg *config.Config, out io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(server.LogLevel(cfg.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, options)), level
	}
	return slog.New(slog.NewTextHandler(out, options)), level
}
