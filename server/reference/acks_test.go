package reference

import (
	"slices"
	"testing"
	"time"
)

// TestUnit05Acknowledgements: an acknowledged job leaves every node, wherever
// it was acknowledged, once all that have a copy were heard.
func TestUnit05Acknowledgements(t *testing.T) {
	u := begin(t)
	u.alone("a single copy", func(u *unit) {
		j := u.held(0, u.queue(), "myjob", 0, "REPLICATE", "1")
		u.do(0, "ACKJOB", j.id)
		u.must(j, u.show(0, j.id) == nil, "the job to be gone at once")
	})
	u.alone("five copies", func(u *unit) { five(u, "ACKJOB") })
	u.alone("five copies, fast", func(u *unit) { five(u, "FASTACK") })
	u.alone("at a node without a copy", func(u *unit) { elsewhere(u, "ACKJOB") })
	u.alone("at a node without a copy, fast", func(u *unit) { elsewhere(u, "FASTACK") })
	u.alone("while the first node is dead", originDead)
	u.alone("at a node without a copy, while one with a copy is dead", func(u *unit) {
		ownersDead(u, func(owners []int) []int { return owners[:1] })
	})
	u.alone("at a node without a copy, while all with a copy are dead", func(u *unit) {
		ownersDead(u, func(owners []int) []int { return owners })
	})
}

// five acknowledges a job of five copies where it was added.
func five(u *unit, command string) {
	j := u.held(0, u.queue(), "myjob", 0, "REPLICATE", "5")
	u.must(j, u.copies(j, "active", "queued") >= 5, "five copies")
	u.do(0, command, j.id)
	u.gone(j)
}

// elsewhere acknowledges a job at a node that does not know it.
func elsewhere(u *unit, command string) {
	j, stranger := u.stranger("REPLICATE", "5")
	u.do(stranger, command, j.id)
	u.gone(j)
}

// originDead acknowledges a job while the node it was added at is dead: the
// others keep the acknowledgement until that one is back.
func originDead(u *unit) {
	j := u.held(0, u.queue(), "myjob", 0, "REPLICATE", "5")
	owners := u.where(j, "active", "queued")
	owner := owners[slices.IndexFunc(owners, func(i int) bool { return i != 0 })]
	u.kill(0)
	u.do(owner, "ACKJOB", j.id)
	u.eventually(j, "four nodes have the acknowledgement", func() bool { return u.copies(j, "acked") >= 4 })
	u.always(2*time.Second, j, "four nodes keep the acknowledgement", func() bool { return u.copies(j, "acked") >= 4 })
	u.start(0)
	u.gone(j)
	u.whole()
}

// ownersDead acknowledges a job at a node that does not know it while some
// that do are dead. They come back without it, as their memory was all it was in.
func ownersDead(u *unit, choose func(owners []int) []int) {
	j, stranger := u.stranger("REPLICATE", "5")
	dead := choose(u.where(j, "active", "queued"))
	u.kill(dead...)
	u.do(stranger, "ACKJOB", j.id)
	u.start(dead...)
	u.gone(j)
	u.whole()
}
