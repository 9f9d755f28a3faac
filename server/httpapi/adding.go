package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// addOptions are ADDJOB's that take a number, as query parameters.
var addOptions = []string{"replicate", "sync", "delay", "retry", "ttl", "maxlen", "priority", "maxtries"}

// adding is what stands behind the body in an ADDJOB: its timeout and its options.
func adding(p map[string]string) ([][]byte, error) {
	timeout := addTimeout
	if value, given := p["timeout"]; given {
		var err error
		if timeout, err = duration(value, time.Hour); err != nil {
			return nil, err
		}
	}
	options := words(strconv.FormatInt(timeout.Milliseconds(), 10))
	for _, name := range addOptions {
		if value, given := p[name]; given {
			options = append(options, words(name, value)...)
		}
	}
	if value, given := p["backoff"]; given {
		first, last, ok := strings.Cut(value, ",")
		if !ok {
			return nil, bad("backoff takes two times in seconds: backoff=1,3600")
		}
		options = append(options, words("backoff", first, last)...)
	}
	async, err := flag(p, "async", false)
	if async {
		options = append(options, words("async")...)
	}
	return options, err
}

// addjob makes an ADDJOB.
func addjob(queue string, body []byte, options [][]byte) [][]byte {
	return append([][]byte{[]byte("ADDJOB"), []byte(queue), body}, options...)
}

// add is POST /v1/queues/{q}/jobs.
func (g gateway) add(w http.ResponseWriter, r *http.Request) {
	batch := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	most := g.b.MaxJob()
	if batch {
		most = batchBytes
	}
	raw, err := read(w, r, most)
	if err != nil {
		refuse(w, err)
		return
	}
	if trimmed := strings.TrimSpace(string(raw[:min(len(raw), 64)])); batch && strings.HasPrefix(trimmed, "[") {
		g.addMany(w, r, raw)
		return
	}
	options, err := adding(parameters(r))
	var v any
	if err == nil {
		v, err = g.ask(r, addjob(r.PathValue("queue"), raw, options))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusCreated, map[string]any{"id": v})
}

// addMany adds the jobs of a JSON array: texts, or objects with a body.
func (g gateway) addMany(w http.ResponseWriter, r *http.Request, raw []byte) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		refuse(w, bad("a batch is a JSON array of texts, or of objects with body and encoding: %v", err))
		return
	}
	if len(list) == 0 || len(list) > batchMost {
		refuse(w, bad("a batch has 1 to %d jobs, not %d", batchMost, len(list)))
		return
	}
	options, err := adding(parameters(r))
	if err != nil {
		refuse(w, err)
		return
	}
	commands := make([][][]byte, len(list))
	for i, item := range list {
		b, err := batched(item)
		if err != nil {
			refuse(w, bad("job %d of the batch: %v", i, err))
			return
		}
		commands[i] = addjob(r.PathValue("queue"), b, options)
	}
	a, err := g.b.Call(r.Context(), who(r), r.RemoteAddr, commands...)
	if err != nil {
		refuse(w, err)
		return
	}
	a.Done(true, true)
	status, out := 0, make([]any, len(a.Values))
	for i, v := range a.Values {
		if f, ok := v.(Fault); ok {
			p := f.problem()
			out[i] = map[string]any{"error": p}
			status = max(status, p.status)
		} else {
			out[i] = map[string]any{"id": v}
		}
	}
	if slices.ContainsFunc(a.Values, func(v any) bool { _, wrong := v.(Fault); return !wrong }) {
		status = http.StatusCreated // some are
	}
	answer(w, status, out)
}

// batched returns the body of an item of a batch.
func batched(item json.RawMessage) ([]byte, error) {
	var one struct {
		Body     *string
		Encoding string
	}
	var text *string
	if json.Unmarshal(item, &text) == nil {
		one.Body = text
	} else {
		d := json.NewDecoder(bytes.NewReader(item))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("no text, and no object with body and encoding: %w", err)
		}
	}
	if one.Body == nil {
		return nil, errors.New("no text, and no object with a body")
	}
	// What is no text in JSON is replaced when it is read.
	if strings.ContainsRune(*one.Body, utf8.RuneError) && !bytes.ContainsRune(item, utf8.RuneError) && !bytes.Contains(bytes.ToLower(item), []byte(`\ufffd`)) || !utf8.Valid(item) {
		return nil, errors.New("it is no Unicode text; send it as base64")
	}
	return (&body{*one.Body, one.Encoding}).bytes()
}
