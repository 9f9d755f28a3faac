//go:build !unix

package main

import "os"

// notifyReload has nothing to tell: there is no SIGHUP here.
func notifyReload(chan<- os.Signal) {}
