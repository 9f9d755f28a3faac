package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/disqueaof"
)

// broker is a connection to the broker that jobs are put into.
type broker struct {
	addr string
	conn *client.Conn
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
func dialBroker(ctx context.Context, o *client.Options) (*broker, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, err := client.Dial(ctx, o)
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return nil, fmt.Errorf("%w; start the broker, or say --to where it is", err)
	}
	b := &broker{addr: o.Addr, conn: conn}
	if err != nil {
		return nil, b.wrong("the connection to", err)
	}
	// Disque, which may still run on the same port, has none.
	if _, err = conn.Ask(ctx, []string{"SELECT", "0"}); err == nil {
		return b, nil
	}
	b.close()
	if no := client.Refusal(""); errors.As(err, &no) && strings.HasPrefix(string(no), "ERR unknown command") {
		return nil, fmt.Errorf("%s is not Disqo: is it Disque? Stop that, start Disqo, or say --to where it is", b.addr)
	}
	return nil, b.wrong("SELECT at", err)
}

func (b *broker) close() { b.conn.Close() }

// wrong says at what an error came up; one that was answered is a refusal.
func (b *broker) wrong(what string, err error) error {
	if no := client.Refusal(""); errors.As(err, &no) {
		err = refusal(no)
	}
	return fmt.Errorf("%s %s: %w", what, b.addr, err)
}

// clear forgets the commands.
func (b *broker) clear() { b.out = b.out[:0] }

// addJob appends an ADDJOB; ttl and delay are seconds.
func (b *broker) addJob(j *disqueaof.Job, ttl, delay int64, copies uint) {
	b.out = client.AppendCommand(b.out, "ADDJOB", string(j.Queue), string(j.Body), strconv.FormatInt(copiesWithin.Milliseconds(), 10),
		"REPLICATE", strconv.FormatUint(uint64(copies), 10), "RETRY", strconv.FormatUint(uint64(j.Retry), 10),
		"TTL", strconv.FormatInt(ttl, 10), "DELAY", strconv.FormatInt(delay, 10))
}

// send sends the commands; their answers have batchPatience from now on, and a second
// more for each MiB.
func (b *broker) send() error {
	patience := batchPatience + time.Duration(len(b.out)>>20)*time.Second
	if err := b.conn.Send(b.out, time.Now().Add(patience)); err != nil {
		return b.wrong("the connection to", err)
	}
	return nil
}

// id reads the answer of an ADDJOB. An error that was answered is a refusal.
func (b *broker) id() (string, error) {
	v, err := b.conn.Reply()
	if err != nil {
		return "", b.wrong("the connection to", err)
	}
	if id, _ := v.(string); len(id) == disqueaof.IDLen {
		return id, nil
	}
	return "", fmt.Errorf("%s answers ADDJOB with %.80q, no id", b.addr, fmt.Sprint(v))
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
