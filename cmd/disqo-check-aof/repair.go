package main

import (
	"bufio"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/disqo/disqo/aof"
)

// repair says what a repair loses, and does it if it was told to.
func repair(o *options, out *bufio.Writer) (code int, err error) {
	do := aof.Assess
	if o.yes {
		do = aof.Repair
	}
	s, err := do(aof.Options{Dir: o.dir})
	if err != nil {
		if newer := asNewer(err); newer != nil {
			fmt.Fprintf(out, "%s: %v\n", stateNewer, newer)
			return exitNewer, nil
		}
		return exitError, err
	}
	if s.Why == "" {
		fmt.Fprintf(out, "The log is whole: there is nothing to repair, and nothing was changed.\n")
		return exitWhole, nil
	}
	fmt.Fprintln(out, s.Why)
	damage(out, s)
	if o.yes {
		fmt.Fprintf(out, "Repaired. The %d old segments are in %s.\nStart the broker; remove them when you miss nothing.\n",
			len(s.Files), filepath.Join(o.dir, s.Aside))
		return exitWhole, nil
	}
	fmt.Fprintf(out, "Nothing was changed.\n%s\n", next(s, o.dir))
	if s.Torn {
		return exitTorn, nil
	}
	return exitCorrupt, nil
}

// asNewer returns the error of a log by a newer version, nil for others.
func asNewer(err error) *aof.VersionError {
	var newer *aof.VersionError
	_ = errors.As(err, &newer)
	return newer
}
