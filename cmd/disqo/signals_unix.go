//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyReload tells when the configuration shall be read again.
func notifyReload(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }
