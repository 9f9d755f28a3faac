package resp

// Sizes of the input buffer, in bytes.
const (
	// minBuffer is what a quiet connection has. Ten thousand of them are 40 MB.
	minBuffer = 4 << 10
	// pipelineBuffer is where a buffer stops to grow for the sake of larger reads: some 500 jobs of 128 bytes at
	// once, and still within a processor's cache. Only a longer command makes it larger.
	pipelineBuffer = 64 << 10
	// minRoom is the least room worth a system call.
	minRoom = 512
	// trust: the buffer grows straight to the announced length of a bulk, but not beyond so many times what has
	// arrived. 30 bytes that announce 4 MiB get 64 KiB.
	trust = 16
)

// Numbers of arguments.
const (
	// minArgs is what a connection begins with (384 bytes).
	minArgs = 16
	// idleArgs are kept by Release (1.5 KiB), batchArgs over a busy connection's batches (96 KiB).
	idleArgs  = 64
	batchArgs = 4096
)

// bufferMost is the most bytes a buffer may have under these limits: the longest command, and a header that is still
// open at its end.
func (l *Limits) bufferMost() int {
	return int(max(l.MaxCommand, int64(l.MaxInline), 1<<20)) + ProtoMaxHeader + minBuffer
}

// Space returns free room to read into; the caller then says with Fill how much of it was used. It ends the life of
// all commands that Next has returned. It is empty only if the buffer is at its bound and full of commands that
// were not yet taken by Next.
func (d *Decoder) Space() []byte {
	d.args = d.args[:0]
	if d.r == d.w {
		d.r, d.w = 0, 0
	}
	have := d.w - d.r
	if size := d.bufferSize(have); size > len(d.buf) {
		buf := make([]byte, size)
		copy(buf, d.buf[d.r:d.w])
		d.replace(buf, have)
	} else if d.r >= max(have, 1) || d.r > 0 && len(d.buf)-d.w < minRoom {
		copy(d.buf, d.buf[d.r:d.w])
		d.r, d.w = 0, have
	}
	return d.buf[d.w:]
}

// bufferSize says how large the buffer should be now that have bytes wait in it for more.
func (d *Decoder) bufferSize(have int) int {
	size := max(len(d.buf), minBuffer)
	if d.full && size < pipelineBuffer {
		size *= 2 // the sender is faster than our reads
	}
	need, crowded := have+minRoom, size-have < minRoom
	switch known := d.frame.inBulk && d.frame.over == nil; {
	case known:
		need = d.frame.pos + d.frame.bulk + 2
		if need > size && (crowded || size < pipelineBuffer) {
			size = max(2*size, min(need+minBuffer, max(pipelineBuffer, trust*have)))
		}
	case crowded:
		size *= 2
	}
	most := max(d.most, pipelineBuffer)
	if d.partial {
		most = max(most, need) // begun under larger limits than today's
	}
	return min(size, most)
}

// Fill says that n bytes were read into what Space returned.
func (d *Decoder) Fill(n int) {
	if d.err != nil {
		return
	}
	d.w += n
	d.full = d.w == len(d.buf)
}

// Size is how many bytes of memory the buffer has.
func (d *Decoder) Size() int { return len(d.buf) }

// Buffered is the number of bytes received and not yet consumed by Next.
func (d *Decoder) Buffered() int { return d.w - d.r }

// Release gives memory back while nothing is buffered, down to 4 KiB of buffer and 1.5 KiB of arguments; otherwise it
// does nothing. Like Space, it ends the life of all commands. Call it when the connection has become quiet rather
// than after every batch, which would have to grow the buffer anew.
func (d *Decoder) Release() {
	if d.Buffered() > 0 {
		return
	}
	buf := d.buf
	if len(buf) > minBuffer {
		buf = nil
	}
	if cap(d.args) > idleArgs {
		d.args = nil
	}
	d.replace(buf, 0)
}

// replace puts buf, with have bytes at its front, in the place of the buffer. The arguments of old commands are wiped,
// they would keep the old buffer alive.
func (d *Decoder) replace(buf []byte, have int) {
	clear(d.args[:cap(d.args)])
	d.args = d.args[:0]
	d.buf, d.r, d.w, d.full = buf, 0, have, false
}

// room returns an empty slice with a capacity of n or more, which shares no element with the arguments of earlier
// commands.
func (d *Decoder) room(n int) [][]byte {
	switch {
	case cap(d.args)-len(d.args) >= n:
	case n > batchArgs:
		return make([][]byte, 0, n) // rare and large: not ours to keep
	default:
		d.args = make([][]byte, 0, max(n, min(2*cap(d.args), batchArgs), minArgs))
	}
	return d.args[len(d.args):]
}

// keep makes args, appended to what room returned, safe from later commands, and each of them safe from an append to
// its neighbour.
func (d *Decoder) keep(args [][]byte) [][]byte {
	for i, arg := range args {
		args[i] = arg[:len(arg):len(arg)]
	}
	if used := len(d.args) + len(args); used <= cap(d.args) {
		d.args = d.args[:used]
	}
	return args[:len(args):len(args)]
}
