package resp

import "bytes"

// inline reads the inline command at buf[r:], a line that ends at LF and, unlike Disque's (B31), ends there exactly.
func (d *Decoder) inline(lim *Limits) (Command, bool, error) {
	b := d.buf[d.r:d.w]
	end, found, fits := lineEnd(b, d.frame.seen, lim.MaxInline)
	switch {
	case !fits:
		return Command{}, false, errInline
	case !found:
		d.frame.seen = len(b)
		return Command{}, false, nil
	}
	raw := d.consume(end + 1)
	line := raw[:end]
	if bytes.ContainsAny(line, `"'`) {
		line = bytes.Clone(line) // split unquotes in place, and Raw is exact
	}
	most := lim.MaxArgs
	if lim.Unauthenticated {
		most = min(most, lim.UnauthArgs)
	}
	guess := min(bytes.Count(line, []byte(" "))+1, most, batchArgs) // split appends, so a wrong one is only slow
	args, n, balanced := split(d.room(guess), line, most)
	if !balanced {
		return Command{}, false, errQuotes
	}
	if err := lim.checkCount(int64(n)); err != nil {
		return Command{}, false, err
	}
	for _, arg := range args {
		if err := lim.checkBulk(int64(len(arg))); err != nil {
			return Command{}, false, err
		}
		if int64(len(arg)) > lim.MaxBulk {
			return Command{}, true, &TooLargeError{Size: int64(len(arg)), Limit: lim.MaxBulk}
		}
	}
	return Command{Raw: raw, Args: d.keep(args)}, true, nil
}
