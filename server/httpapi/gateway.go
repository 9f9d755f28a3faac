package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// gateway is the JSON side: each request is one or more commands of the other
// port, and their replies in JSON.
type gateway struct {
	b     Broker
	watch *watch
}

const (
	batchMost   = 1000             // jobs in one request
	batchBytes  = 16 << 20         // of its JSON
	waitMost    = 5 * time.Minute  // of a long poll
	addTimeout  = 5 * time.Second  // for copies, unless the request says
	writeAfter  = 30 * time.Second // for an answer, beyond a long poll
	pageDefault = 100
	pageMost    = 1000
)

// words makes a command.
func words(parts ...string) [][]byte {
	cmd := make([][]byte, len(parts))
	for i, p := range parts {
		cmd[i] = []byte(p)
	}
	return cmd
}

// problem is an error of a request, with its status.
type problem struct {
	status int
	Code   string `json:"code"`
	Text   string `json:"message"`
}

func (p *problem) Error() string { return p.Code + " " + p.Text }

func bad(format string, a ...any) *problem {
	return &problem{http.StatusBadRequest, "ERR", fmt.Sprintf(format, a...)}
}

// statuses are those of the codes that replies begin with; others are 400.
var statuses = map[string]int{
	"NOJOB": http.StatusNotFound, "NOAUTH": http.StatusUnauthorized, "WRONGPASS": http.StatusUnauthorized, "DENIED": http.StatusForbidden, "NOPERM": http.StatusForbidden,
	"PAUSED": http.StatusConflict, "MAXLEN": http.StatusConflict, "TOOLATE": http.StatusConflict, "OOM": http.StatusServiceUnavailable,
	"MISCONF": http.StatusServiceUnavailable, "NOREPL": http.StatusServiceUnavailable, "LOADING": http.StatusServiceUnavailable,
	"LEAVING": http.StatusServiceUnavailable,
}

func (f Fault) problem() *problem {
	code, text, _ := strings.Cut(string(f), " ")
	status, ok := statuses[code]
	if !ok {
		status = http.StatusBadRequest
	}
	return &problem{status, code, text}
}

// asProblem returns an error as a problem.
func asProblem(err error) *problem {
	var p *problem
	var f Fault
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &f):
		return f.problem()
	}
	return &problem{http.StatusServiceUnavailable, "ERR", err.Error()}
}

// call executes commands; the first reply that is an error is one.
func (g gateway) call(r *http.Request, commands ...[][]byte) (*Answer, error) {
	a, err := g.b.Call(r.Context(), who(r), r.RemoteAddr, commands...)
	if err != nil {
		return nil, err
	}
	for _, v := range a.Values {
		if f, ok := v.(Fault); ok {
			a.Done(false, false)
			return nil, f
		}
	}
	return a, nil
}

// ask is call for one command that hands out no job.
func (g gateway) ask(r *http.Request, command [][]byte) (any, error) {
	a, err := g.call(r, command)
	if err != nil {
		return nil, err
	}
	a.Done(true, true)
	return a.Values[0], nil
}

// answer writes JSON, and returns whether it was written.
func answer(w http.ResponseWriter, status int, v any) (written bool) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"ERR","message":"an answer that is no JSON"}}`)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeAfter))
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	p := asProblem(err)
	answer(w, p.status, map[string]any{"error": p})
}

// duration reads a time like 20s, or seconds.
func duration(text string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, wrong := strconv.ParseInt(text, 10, 32); wrong == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 || d > most {
		return 0, bad("%q is no time from 0s to %v", text, most)
	}
	return d, nil
}

// read reads what the client sent, up to so many bytes.
func read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &problem{http.StatusRequestEntityTooLarge, "ERR", fmt.Sprintf("the request exceeds %d bytes", large.Limit)}
	}
	if err != nil {
		return nil, bad("the request ended early: %v", err)
	}
	return b, nil
}

// patient lets a request, which was read, take so long: the deadlines that it has
// are made for those that are answered at once.
func patient(w http.ResponseWriter, wait time.Duration) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(wait + writeAfter))
}
