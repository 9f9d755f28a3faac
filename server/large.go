package server

import "sync"

// Replies that are larger than what a connection keeps are made in buffers that
// all share: a connection has one only while its batch runs. To make and drop
// one for each batch would cost a page fault for every page of every reply.
const largeReply = 256 << 10 // bytes of such a buffer; replies beyond that are garbage

var largeReplies = sync.Pool{New: func() any { return new([largeReply]byte) }}

// grow makes room for n more bytes of replies, if that takes a large buffer.
func (s *session) grow(n int) {
	have, b := len(s.reply.B), s.reply.B
	if have+n <= max(cap(b), busyBytes) || have+n > largeReply {
		return
	}
	s.reply.B = append(largeReplies.Get().(*[largeReply]byte)[:0], b...)
}

// drop gives up the memory of the replies, which are sent and which nobody else
// has.
func (s *session) drop() {
	if b := s.reply.B; cap(b) == largeReply {
		largeReplies.Put((*[largeReply]byte)(b[:largeReply]))
	}
	s.reply.B = nil
}
