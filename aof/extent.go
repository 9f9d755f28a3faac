package aof

// extent is what a segment holds.
type extent struct {
	used    int64 // end of the valid batches from the beginning on
	batches int
	records int
	last    batchHeader // of those
	prev    batchHeader // the one before
	image   bool        // one of them has the image flag
	shut    bool        // one of them is a close
	why     string      // what is wrong at used; "" if nothing but zeros follow
	dirt    int64       // end of the last byte that is not zero
	behind  behind
}

// behind is what is still valid behind damage.
type behind struct {
	batches int
	records int
	bytes   int64
	synced  int64 // the greatest claim of what was durable
	image   bool
	shut    bool
}

// visitor gets the valid batches of a segment in their order.
type visitor func(h *batchHeader, off int64, payload []byte) error

// extent reads the open file. The first batch must have that sequence number,
// any if it is 0.
func (r *reader) extent(segment uint32, seq uint64, visit visitor) (x extent, err error) {
	x.used = SegmentHeader
	for x.last.flags&(FlagSeal|FlagOff) == 0 {
		h, payload, why, err := r.batch(x.used, segment)
		if err != nil {
			return x, err
		}
		if why == "" && seq != 0 && h.seq != seq {
			why = "a batch is missing before this one"
		}
		n, whole := 0, false
		if why == "" {
			if n, whole = countRecords(payload); !whole {
				why = "a record is broken"
			}
		}
		if why != "" {
			x.why = why
			break
		}
		if visit != nil {
			if err := visit(&h, x.used, payload); err != nil {
				return x, err
			}
		}
		x.add(h, n)
		seq = h.seq + 1
	}
	return x, r.rest(&x, segment)
}

func (x *extent) add(h batchHeader, records int) {
	x.prev, x.last = x.last, h
	x.batches++
	x.records += records
	x.used += batchSize(int64(h.length))
	x.image = x.image || h.flags&FlagImage != 0
	x.shut = x.shut || h.flags&FlagClose != 0
}

// rest looks at what follows the valid batches: nothing but zeros, or damage.
func (r *reader) rest(x *extent, segment uint32) (err error) {
	if x.dirt, err = r.dirt(min(x.used, r.size)); err != nil {
		return err
	}
	if x.dirt <= x.used {
		x.why = ""
		return nil
	}
	if x.why == "" {
		x.why = "something follows the end of the segment"
	}
	return r.search(x, segment)
}

// search finds the batches behind damage. What is in the place of the records
// of a batch whose header is right is not looked at.
func (r *reader) search(x *extent, segment uint32) error {
	for off := x.used; off < x.dirt && off+8 <= r.size; {
		b, err := r.bytes(off, 8)
		if err != nil {
			return err
		}
		if le.Uint32(b) != batchMagic {
			off += 8
			continue
		}
		h, payload, why, err := r.batch(off, segment)
		if err != nil {
			return err
		}
		if h.seq == 0 {
			off += 8
			continue
		}
		size := batchSize(int64(h.length))
		if why == "" {
			x.behind.add(&h, payload, size)
		}
		off += size
	}
	return nil
}

func (b *behind) add(h *batchHeader, payload []byte, size int64) {
	n, _ := countRecords(payload)
	b.batches++
	b.records += n
	b.bytes += size
	b.synced = max(b.synced, int64(h.synced))
	b.image = b.image || h.flags&FlagImage != 0
	b.shut = b.shut || h.flags&FlagClose != 0
}

// durable says that what is damaged in the last segment was durable before, so
// that this is no torn end. A close was written when everything before it was
// durable; behind it there may be a torn seal.
func (x *extent) durable() bool {
	tornSeal := x.last.flags&FlagClose != 0 && x.dirt <= x.used+BatchHeader
	return x.last.flags&(FlagSeal|FlagOff) != 0 || x.behind.synced > x.used || x.behind.shut || x.shut && !tornSeal
}
