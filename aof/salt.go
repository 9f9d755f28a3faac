package aof

import "slices"

// resalt finds the salt of the open segment, whose header is damaged: the one
// by which most of its batches have the right checksum.
func (v *salvager) resalt(number uint32) (uint32, error) {
	votes := map[uint32]int{}
	best := v.salt
	for off := int64(SegmentHeader); off+BatchHeader <= v.size; {
		salt, size, err := v.saltOf(number, off)
		if err != nil {
			return 0, err
		}
		if size == 0 {
			off += 8
			continue
		}
		if votes[salt]++; votes[salt] > votes[best] {
			best = salt
		}
		off += size
	}
	return best, nil
}

// saltOf returns the salt that makes what stands at off a batch, and its size;
// 0 if nothing does.
func (v *salvager) saltOf(number uint32, off int64) (salt uint32, size int64, err error) {
	b, err := v.bytes(off, BatchHeader)
	if err != nil || le.Uint32(b) != batchMagic {
		return 0, 0, err
	}
	salt = uncrc(le.Uint32(b[4:]), b[8:BatchHeader])
	h, ok := decodeBatch(b, number, salt, off)
	size = batchSize(int64(h.length))
	if !ok || off+size > v.size {
		return 0, 0, nil
	}
	if b, err = v.bytes(off, size); err != nil {
		return 0, 0, err
	}
	payload := b[BatchHeader : BatchHeader+h.length]
	if _, whole := countRecords(payload); !whole || checksum(payload) != h.sum {
		return 0, 0, nil
	}
	return salt, size, nil
}

// byTop finds an entry of the table of the checksum by its first byte, which no
// other has.
var byTop = func() (at [256]byte) {
	for i, entry := range castagnoli {
		at[entry>>24] = byte(i)
	}
	return at
}()

// uncrc returns the checksum that became sum by b.
func uncrc(sum uint32, b []byte) uint32 {
	c := ^sum
	for _, x := range slices.Backward(b) {
		i := byTop[c>>24]
		c = (c^castagnoli[i])<<8 | uint32(i^x)
	}
	return ^c
}
