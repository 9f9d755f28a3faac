package resp

import "github.com/tidwall/redcon"

// Command is one whole command: at least one argument, the first being its name (which may be empty).
//
// Raw is its exact bytes. Raw and Args alias the decoder's memory and are valid until the next call of
// [Decoder.Space] or [Decoder.Release], over any number of calls of [Decoder.Next]. Appending to one of them
// never touches another.
type Command struct {
	Raw  []byte
	Args [][]byte
}

// Decoder owns a connection's input buffer and turns bytes into commands. The zero value is ready to use and holds
// no memory. The caller's loop is
//
//	n, err := conn.Read(d.Space())
//	d.Fill(n)
//	then cmd, ok, err := d.Next(lim), until it wants more bytes
//
// A caller that asks for Space before it has taken every command makes the buffer grow to hold them.
type Decoder struct {
	// buf[r:w] was received and is not yet consumed; commands that were handed out alias buf[:r].
	buf  []byte
	r, w int
	full bool // the last Fill left no room
	most int  // the most bytes buf may have, after the limits of the last Next

	frame   frame    // how far the command at buf[r:] is understood
	partial bool     // the last Next stopped inside a command
	err     error    // the *ProtocolError that ended the stream
	args    [][]byte // the arguments handed out since the last Space, and room for more
}

// Next returns the next command in order of arrival. Without one, ok is false and err is
//   - nil: more bytes are needed (Space, Fill);
//   - *TooLargeError: a command was skipped; to be answered in its place, then Next goes on;
//   - *ProtocolError: to be answered, then closed. Every later Next returns it again and further input is dropped.
//
// Blank lines and empty arrays are passed over. The work is linear in the bytes received, however they are cut.
func (d *Decoder) Next(lim *Limits) (cmd Command, ok bool, err error) {
	d.most = lim.bufferMost()
	d.partial = false
	for d.err == nil && d.r < d.w {
		cmd, ok, err = d.next(lim)
		if len(cmd.Args) > 0 {
			return cmd, true, nil
		}
		if err != nil {
			return Command{}, false, d.refuse(err)
		}
		if !ok {
			break
		}
	}
	d.partial = d.frame.left > 0 || d.r < d.w
	return Command{}, false, d.err
}

// Partial reports whether the last Next stopped inside a command, one that is being skipped included: its sender
// owes us the rest, and soon.
func (d *Decoder) Partial() bool { return d.partial }

// next looks at one command. ok means that it was consumed; it has no arguments if there is nothing to execute.
func (d *Decoder) next(lim *Limits) (cmd Command, ok bool, err error) {
	if d.frame.left == 0 && d.buf[d.r] != '*' {
		return d.inline(lim)
	}
	ok, err = d.scan(lim)
	if !ok || err != nil {
		return Command{}, false, err
	}
	return d.take()
}

// take consumes the multibulk command that scan has found complete.
func (d *Decoder) take() (Command, bool, error) {
	f := d.frame
	raw := d.consume(f.pos)
	switch {
	case f.over != nil:
		if f.over.Whole {
			f.over.Size = f.dropped
		}
		return Command{}, true, f.over
	case f.args == 0:
		return Command{}, true, nil
	}
	ok, args, _, rest, err := redcon.ReadNextCommand(raw, d.room(f.args))
	if err != nil || !ok || len(rest) > 0 || len(args) != f.args {
		return Command{}, false, errCodec
	}
	return Command{Raw: raw, Args: d.keep(args)}, true, nil
}

// consume ends the command at buf[r:], which has size bytes, and returns them.
func (d *Decoder) consume(size int) []byte {
	raw := d.buf[d.r : d.r+size : d.r+size]
	d.r += size
	d.frame = frame{}
	return raw
}

// refuse makes a protocol error stick and drops what was received after it.
func (d *Decoder) refuse(err error) error {
	if _, fatal := err.(*ProtocolError); fatal {
		d.err = err
		d.r, d.w = 0, 0
		d.frame = frame{}
	}
	return err
}
