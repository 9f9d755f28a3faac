package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/disqo/disqo/server/disqueaof"
)

// broker is a connection to the broker that jobs are put into.
type broker struct {
	addr string
	nc   net.Conn
	in   *bufio.Reader
	out  []byte // commands that are to be sent
}

// dialPatience bounds the wait for a connection, and batchPatience that for the
// answers to a pipeline; ADDJOB gives up waiting for copies before that.
const (
	dialPatience  = 10 * time.Second
	batchPatience = 60 * time.Second
	copiesWithin  = 30 * time.Second
)

// dialBroker connects, and sees that a broker is there that would take jobs.
func dialBroker(ctx context.Context, addr, user, password string) (*broker, error) {
	nc, err := (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w; start the broker, or say --to where it is", err)
	}
	b := &broker{addr: addr, nc: nc, in: bufio.NewReader(nc)}
	if err := b.greet(user, password); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *broker) close() { _ = b.nc.Close() }

func (b *broker) greet(user, password string) error {
	if password != "" {
		words := []string{"AUTH", user, password}
		if user == "" {
			words = []string{"AUTH", password}
		}
		b.command(words...)
		if err := b.send(); err != nil {
			return err
		}
		if _, err := b.status(); err != nil {
			return fmt.Errorf("AUTH at %s: %w", b.addr, err)
		}
	}
	b.clear()
	b.command("SELECT", "0") // Disque, which may still run on the same port, has none
	if err := b.send(); err != nil {
		return err
	}
	_, err := b.status()
	if no := refusal(""); errors.As(err, &no) && strings.HasPrefix(string(no), "ERR unknown command") {
		return fmt.Errorf("%s is not Disqo: is it Disque? Stop that, start Disqo, or say --to where it is", b.addr)
	}
	if err != nil {
		return fmt.Errorf("SELECT at %s: %w", b.addr, err)
	}
	return nil
}

// clear forgets the commands.
func (b *broker) clear() { b.out = b.out[:0] }

// command appends a command.
func (b *broker) command(words ...string) {
	b.out = fmt.Appendf(b.out, "*%d\r\n", len(words))
	for _, w := range words {
		b.out = fmt.Appendf(b.out, "$%d\r\n%s\r\n", len(w), w)
	}
}

// addJob appends an ADDJOB; ttl and delay are seconds.
func (b *broker) addJob(j *disqueaof.Job, ttl, delay int64, copies uint) {
	b.command("ADDJOB", string(j.Queue), string(j.Body), strconv.FormatInt(copiesWithin.Milliseconds(), 10),
		"REPLICATE", strconv.FormatUint(uint64(copies), 10), "RETRY", strconv.FormatUint(uint64(j.Retry), 10),
		"TTL", strconv.FormatInt(ttl, 10), "DELAY", strconv.FormatInt(delay, 10))
}

// send sends the commands; their answers have batchPatience from now on, and a second
// more for each MiB.
func (b *broker) send() error {
	patience := batchPatience + time.Duration(len(b.out)>>20)*time.Second
	if err := b.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := b.nc.Write(b.out); err != nil {
		return fmt.Errorf("the connection to the broker: %w", err)
	}
	return nil
}

// status reads an answer that is one line. An error that was answered is a refusal.
func (b *broker) status() (string, error) {
	line, err := b.in.ReadSlice('\n')
	switch n := len(line); {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("%s is no broker: it answers %.40q", b.addr, line)
	case err != nil:
		return "", fmt.Errorf("the connection to the broker: %w", err)
	case n > 3 && line[0] == '+':
		return string(line[1 : n-2]), nil
	case n > 3 && line[0] == '-':
		return "", refusal(line[1 : n-2])
	}
	return "", fmt.Errorf("%s is no broker: it answers %.40q", b.addr, line)
}

// id reads the answer of an ADDJOB.
func (b *broker) id() (string, error) {
	id, err := b.status()
	if err == nil && len(id) != disqueaof.IDLen {
		return "", fmt.Errorf("%s answers ADDJOB with %.80q, no id", b.addr, id)
	}
	return id, err
}

// refusal is an error that a broker answered.
type refusal string

func (r refusal) Error() string {
	text := string(r)
	switch word, _, _ := strings.Cut(text, " "); word {
	case "NOREPL":
		return text + " (add nodes, or say --replicate n)"
	case "NOAUTH", "DENIED":
		return text + " (say --password)"
	case "LOADING":
		return text + " (try again when it is done)"
	}
	if strings.Contains(text, " exceeds max-") {
		return text + " (CONFIG SET raises it)"
	}
	return text
}
