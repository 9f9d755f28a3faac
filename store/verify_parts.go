package store

// known reports whether h names a live slot, whatever h is.
func (s *slots) known(h uint32) bool {
	if h == 0 || int((h-1)/slabSlots) >= len(s.slabs) || s.slabs[(h-1)/slabSlots] == nil {
		return false
	}
	return s.has(h)
}

// all calls yield with each live slot, until it returns false.
func (s *slots) all(yield func(h uint32) bool) {
	for num, sl := range s.slabs {
		if sl == nil {
			continue
		}
		for i := range min(sl.bump, slabSlots) {
			if h := uint32(num)*slabSlots + i + 1; s.has(h) && !yield(h) {
				return
			}
		}
	}
}

// freed reports whether list has each of n places that is free, once, and no
// other.
func freed(list []uint32, n int, free func(i int) bool) bool {
	seen := make([]bool, n)
	for _, i := range list {
		if int(i) >= n || seen[i] || !free(int(i)) {
			return false
		}
		seen[i] = true
	}
	for i := range n {
		if free(i) && !seen[i] {
			return false
		}
	}
	return true
}

// verify holds that each slot is live or free, and counted as what it is.
func (s *slots) verify() error {
	if !freed(s.free, len(s.slabs), func(i int) bool { return s.slabs[i] == nil }) {
		return broken("the slabs that were handed back are not %v", s.free)
	}
	live, partial := 0, 0
	for num, sl := range s.slabs {
		if sl == nil {
			continue
		}
		if err := sl.verify(num); err != nil {
			return err
		}
		live += int(sl.used)
		if sl.used == slabSlots {
			continue
		}
		partial++
		if sl.at < 0 || sl.at >= len(s.partial) || s.partial[sl.at] != uint32(num) {
			return broken("slab %d has room, and nobody finds it at %d", num, sl.at)
		}
	}
	if live != s.live || partial != len(s.partial) {
		return broken("%d slots are live, %d are counted; %d slabs have room, %d are listed", live, s.live, partial, len(s.partial))
	}
	return nil
}

func (sl *slab) verify(num int) error {
	var free [slabSlots]bool
	left := uint32(0)
	for i := sl.free; i != 0; i = sl.slot[i-1].next {
		if i > min(sl.bump, slabSlots) || free[i-1] || sl.slot[i-1].id != (ID{}) {
			return broken("slab %d: the list of free slots has %d", num, i)
		}
		free[i-1] = true
		left++
	}
	if sl.bump > slabSlots || sl.used+left != sl.bump {
		return broken("slab %d: %d slots used, %d free, of %d", num, sl.used, left, sl.bump)
	}
	for i := range uint32(slabSlots) {
		none := free[i] || i >= sl.bump
		if none != (sl.slot[i].id == ID{}) {
			return broken("slab %d: slot %d is live and free: %+v", num, i+1, sl.slot[i])
		}
		if none && sl.home != nil && sl.home[i] != noHome && sl.home[i] != 0 {
			return broken("slab %d: slot %d is free, and its record in segment %d", num, i+1, sl.home[i])
		}
		if sl.copies == nil || sl.copies[i] == (copies{}) {
			continue
		}
		if none || sl.copies[i].flags&flagHas == 0 {
			return broken("slab %d: slot %d has no copies, and of them: %+v", num, i+1, sl.copies[i])
		}
	}
	return nil
}

// verify holds that the entries of the index are the live slots, as far as that
// can be said without looking each up, each in the table and behind the bucket
// of its hash.
func (x *index) verify() error {
	entries := 0
	for _, t := range [...]*table{&x.old, &x.cur} {
		from := 0
		if t == &x.old {
			from = x.moved
		}
		if len(t.segs) < t.n/segBuckets || t.n%segBuckets != 0 {
			return broken("the index has %d segments for %d buckets", len(t.segs), t.n)
		}
		for at := from; at < len(t.segs)*segBuckets; at++ {
			e := t.at(at)
			switch {
			case e == 0:
				continue
			case !x.slots.known(e.handle()):
				return broken("bucket %d of the index has %d, which is gone", at, e.handle())
			case x.of(e.hash()) != t || t.home(e.hash()) > at:
				return broken("bucket %d of the index has %d, which is not where its hash says", at, e.handle())
			}
			entries++
		}
	}
	if entries != x.count || x.count != x.slots.live {
		return broken("%d jobs, and the index counts %d of its %d entries", x.slots.live, x.count, entries)
	}
	return nil
}

// verify holds that each job is on the wheel once, in no later place than its
// deadline and in none that is over.
func (w *wheel) verify() error {
	timers, on := 0, make([]bool, len(w.slots.slabs)*slabSlots)
	for b := range numBuckets {
		at := w.cur
		if b != dueBucket {
			level := b >> wheelBits
			shift := level * wheelBits
			at = w.cur>>(shift+wheelBits)<<(shift+wheelBits) | int64(b&wheelMask)<<shift
			if (w.head[b] != 0) != (w.set[level]>>(b&wheelMask)&1 != 0) {
				return broken("bucket %d of the wheel begins with %d, and the bitmap denies it", b, w.head[b])
			}
			if w.head[b] != 0 && at <= w.cur {
				return broken("bucket %d of the wheel was due at %d, and it is %d", b, at, w.cur)
			}
		}
		prev := bucketTag | uint32(b)
		for h := w.head[b]; h != 0; prev, h = h, w.slots.get(h).next {
			if !w.slots.known(h) || on[h-1] {
				return broken("the timer of %d, in bucket %d, is of no job or there twice", h, b)
			}
			on[h-1] = true
			timers++
			j := w.slots.get(h)
			if j.prev != prev {
				return broken("job %s: its timer in bucket %d is after %#x, not %#x", j.id, b, prev, j.prev)
			}
			if d := w.slots.deadline(h); at > max(w.cur, d) {
				return broken("job %s: its deadline is %d, its timer in bucket %d that is due at %d: %+v %+v", j.id, d, b, at, *j, w.slots.copies(h))
			}
		}
	}
	if timers == w.slots.live {
		return nil
	}
	for h := range w.slots.all {
		if j := w.slots.get(h); !on[h-1] {
			return broken("job %s: it has no timer: %+v", j.id, *j)
		}
	}
	return broken("%d timers for %d jobs", timers, w.slots.live)
}

// chunks is which chunks of an arena are free or claimed.
type chunks struct {
	pages []pageChunks
	large []bool // by index
}

type pageChunks struct {
	taken []uint64 // by chunk
	used  int      // chunks that somebody must have
}

// take notes a chunk and reports whether it was still to be had.
func (p *pageChunks) take(chunk int) bool {
	bit := uint64(1) << (chunk % 64)
	was := p.taken[chunk/64]
	p.taken[chunk/64] |= bit
	return was&bit == 0
}

// verify holds that the pages are in order, and returns their free chunks.
func (a *arena) verify() (chunks, error) {
	none := func(i int) bool { return a.pages[i] == nil }
	if !freed(a.freePages, len(a.pages), none) || !freed(a.freeLarge, len(a.large), func(i int) bool { return a.large[i] == nil }) {
		return chunks{}, broken("the pages that were handed back are not %v, or the large ones not %v", a.freePages, a.freeLarge)
	}
	c := chunks{pages: make([]pageChunks, len(a.pages)), large: make([]bool, len(a.large))}
	for i, mem := range a.large {
		c.large[i] = mem == nil
	}
	var partial [numClasses]int
	for num, p := range a.pages {
		if p == nil {
			continue
		}
		if p.class >= numClasses || len(p.mem) != pageSize || int(p.bump) > pageSize/classSize(int(p.class)) {
			return chunks{}, broken("page %d: class %d, %d bytes, %d chunks", num, p.class, len(p.mem), p.bump)
		}
		size := classSize(int(p.class))
		pc := pageChunks{taken: make([]uint64, pageSize/size/64+1), used: int(p.used)}
		free := 0
		for next := p.free; next != 0; free++ {
			if next > p.bump || !pc.take(int(next)-1) {
				return chunks{}, broken("page %d: the list of free chunks has %d", num, next)
			}
			m := p.mem[int(next-1)*size:]
			next = uint16(m[0]) | uint16(m[1])<<8
		}
		room := p.free != 0 || int(p.bump) < pageSize/size
		l := a.partial[p.class]
		if pc.used+free != int(p.bump) || room != (p.at >= 0) || room && (p.at >= len(l) || l[p.at] != uint32(num)) {
			return chunks{}, broken("page %d: class %d, %d chunks used, %d free, of %d; listed at %d", num, p.class, pc.used, free, p.bump, p.at)
		}
		if room {
			partial[p.class]++
		}
		c.pages[num] = pc
	}
	for class, n := range partial {
		if n != len(a.partial[class]) {
			return chunks{}, broken("class %d: %d pages have room, %d are listed", class, n, len(a.partial[class]))
		}
	}
	return c, nil
}

// claim notes that ref is n bytes of somebody. It reports false if it is not, or
// is somebody else's.
func (a *arena) claim(c chunks, ref uint32, n int) bool {
	if ref == 0 || n == 0 {
		return ref == 0 && n == 0
	}
	if ref&largeBit != 0 {
		i := int(ref &^ largeBit)
		if i >= len(a.large) || len(a.large[i]) != n || c.large[i] {
			return false
		}
		c.large[i] = true
		return true
	}
	num, chunk := int(ref>>chunkBits)-1, int(ref&(1<<chunkBits-1))
	if num < 0 || num >= len(a.pages) || a.pages[num] == nil {
		return false
	}
	p, claims := a.pages[num], &c.pages[num]
	claims.used--
	return n <= maxShared && classOf(n) == int(p.class) && chunk < int(p.bump) && claims.take(chunk)
}

// left holds that nothing is left that somebody must have claimed.
func (c *chunks) left() error {
	for num, p := range c.pages {
		if p.used != 0 {
			return broken("page %d: %d chunks are nobody's", num, p.used)
		}
	}
	for i, taken := range c.large {
		if !taken {
			return broken("large body %d is nobody's", i)
		}
	}
	return nil
}
