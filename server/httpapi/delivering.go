package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// delivered is a job as GETJOB answers it.
type delivered struct {
	Queue    string `json:"queue"`
	QueueKey string `json:"queueKey,omitempty"` // as paths have it, if the name is no text
	ID       string `json:"id"`
	body
	Nacks *int64 `json:"nacks,omitempty"`
	Extra *int64 `json:"additionalDeliveries,omitempty"`
}

func newDelivered(v any) (d delivered, ok bool) {
	list, _ := v.([]any)
	if len(list) < 3 {
		return d, false
	}
	queue, _ := list[0].([]byte)
	id, _ := list[1].([]byte)
	raw, _ := list[2].([]byte)
	d = delivered{ID: string(id), body: newBody(raw)}
	d.Queue, d.QueueKey = shownQueue(queue)
	if len(list) == 7 {
		nacks, _ := list[4].(int64)
		extra, _ := list[6].(int64)
		d.Nacks, d.Extra = &nacks, &extra
	}
	return d, true
}

// get is POST /v1/queues/{q}/jobs:get.
func (g gateway) get(w http.ResponseWriter, r *http.Request) {
	p := parameters(r)
	counters, err := flag(p, "withcounters", false)
	wait := time.Duration(0)
	if value, given := p["wait"]; given && err == nil {
		wait, err = duration(value, waitMost)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	cmd := words("GETJOB", "NOHANG")
	if wait > 0 {
		cmd = words("GETJOB", "TIMEOUT", strconv.FormatInt(wait.Milliseconds(), 10))
	}
	if count, given := p["count"]; given {
		cmd = append(cmd, words("COUNT", count)...)
	}
	if counters {
		cmd = append(cmd, words("WITHCOUNTERS")...)
	}
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<10)) // so that a client that goes away is noticed
	patient(w, wait)
	a, err := g.call(r, append(cmd, words("FROM", r.PathValue("queue"))...))
	if err != nil {
		refuse(w, err)
		return
	}
	list, _ := a.Values[0].([]any)
	if len(list) == 0 {
		a.Done(true, true)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	jobs := make([]delivered, 0, len(list))
	for _, v := range list {
		if d, ok := newDelivered(v); ok {
			jobs = append(jobs, d)
		}
	}
	begun := r.Context().Err() == nil
	a.Done(begun, begun && answer(w, http.StatusOK, jobs))
}

// jobID is the form of a job's id.
var jobID = regexp.MustCompile(`^D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$`)

// errBadID refuses a request before anything of it is done.
func errBadID(id string) error {
	return &problem{http.StatusBadRequest, "BADID", fmt.Sprintf("%.100q is no id of a job; nothing was done", id)}
}

// refusal is a NACK in a request.
type refusal struct {
	ID     string `json:"id"`
	Delay  *int64 `json:"delay"`
	Reason string `json:"reason"`
}

// ack is POST /v1/jobs:ack.
func (g gateway) ack(w http.ResponseWriter, r *http.Request) {
	raw, err := read(w, r, 1<<20)
	if err != nil {
		refuse(w, err)
		return
	}
	var in struct {
		Ack  []string          `json:"ack"`
		Nack []json.RawMessage `json:"nack"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		refuse(w, bad(`it takes {"ack":[id, ...],"nack":[id or {"id":...,"delay":...,"reason":...}, ...]}: %v`, err))
		return
	}
	var commands [][][]byte
	if len(in.Ack) > 0 {
		commands = append(commands, words(append([]string{"ACKJOB"}, in.Ack...)...))
	}
	for _, id := range in.Ack {
		if !jobID.MatchString(id) {
			refuse(w, errBadID(id))
			return
		}
	}
	for _, item := range in.Nack {
		var one refusal
		if json.Unmarshal(item, &one.ID) != nil && json.Unmarshal(item, &one) != nil {
			refuse(w, bad("a nack is an id, or an object with id, delay and reason"))
			return
		}
		if !jobID.MatchString(one.ID) {
			refuse(w, errBadID(one.ID))
			return
		}
		commands = append(commands, one.command())
	}
	if len(commands) == 0 || len(commands) > batchMost {
		refuse(w, bad("there is nothing to acknowledge, or there are more than %d nacks", batchMost))
		return
	}
	a, err := g.call(r, commands...)
	if err != nil {
		refuse(w, err)
		return
	}
	a.Done(true, true)
	acked, nacked := int64(0), int64(0)
	for i, v := range a.Values {
		n, _ := v.(int64)
		if i == 0 && len(in.Ack) > 0 {
			acked = n
		} else {
			nacked += n
		}
	}
	answer(w, http.StatusOK, map[string]int64{"acked": acked, "nacked": nacked})
}

func (f *refusal) command() [][]byte {
	cmd := words("NACK", f.ID)
	if f.Delay != nil {
		cmd = append(cmd, words("DELAY", strconv.FormatInt(*f.Delay, 10))...)
	}
	if f.Reason != "" {
		cmd = append(cmd, words("REASON", f.Reason)...)
	}
	return cmd
}
