package load

import (
	"bytes"
	"fmt"
)

// beanstalk is a tube of beanstalkd: put, reserve-with-timeout, delete.
type beanstalk struct {
	adding  template
	fetches []byte
	depth   int
	tube    string
}

const leaseSeconds = 300 // as Disque's RETRY

func newBeanstalk(o *Options, _ int) protocol {
	k := &beanstalk{depth: o.Depth, tube: o.Queue}
	k.adding.text = fmt.Appendf(nil, "put 0 0 %d %d\r\n%s\r\n", leaseSeconds, o.Size, make([]byte, o.Size))
	k.adding.number = bytes.IndexByte(k.adding.text, 0)
	for i := range o.Depth {
		wait := 0
		if i == 0 {
			wait = fetchWaitMS / 1000
		}
		k.fetches = fmt.Appendf(k.fetches, "reserve-with-timeout %d\r\n", wait)
	}
	return k
}

func (k *beanstalk) greet(out []byte, consumer bool) ([]byte, int) {
	if consumer {
		return fmt.Appendf(out, "watch %s\r\nignore default\r\n", k.tube), 2
	}
	return fmt.Appendf(out, "use %s\r\n", k.tube), 1
}

func (k *beanstalk) greeted(b []byte) (int, error) {
	line, used := cutLine(b)
	if used > 0 && !bytes.HasPrefix(line, []byte("USING ")) && !bytes.HasPrefix(line, []byte("WATCHING ")) {
		return 0, unexpected(b)
	}
	return used, nil
}

func (k *beanstalk) add(out []byte, number uint64) []byte { return k.adding.append(out, number, 0) }

func (k *beanstalk) added(b []byte) (int, error) {
	line, used := cutLine(b)
	if used > 0 && !bytes.HasPrefix(line, []byte("INSERTED ")) {
		return 0, unexpected(b)
	}
	return used, nil
}

func (k *beanstalk) fetch(out []byte) ([]byte, int) { return append(out, k.fetches...), k.depth }

func (k *beanstalk) fetched(b []byte, take func(id, body []byte) error) (int, error) {
	line, used := cutLine(b)
	if used == 0 || string(line) == "TIMED_OUT" {
		return used, nil
	}
	rest, ok := bytes.CutPrefix(line, []byte("RESERVED "))
	id, length, _ := bytes.Cut(rest, []byte(" "))
	size, number := decimal(length)
	if !ok || !number || size < 0 {
		return 0, unexpected(b)
	}
	if len(b) < used+size+2 {
		return 0, nil
	}
	return used + size + 2, take(id, b[used:used+size])
}

func (k *beanstalk) ack(out []byte, ids [][]byte) ([]byte, int) {
	for _, id := range ids {
		out = append(out, "delete "...)
		out = append(append(out, id...), "\r\n"...)
	}
	return out, len(ids)
}

func (k *beanstalk) acked(b []byte, _ int) (int, error) {
	line, used := cutLine(b)
	if used > 0 && string(line) != "DELETED" {
		return 0, unexpected(b)
	}
	return used, nil
}
