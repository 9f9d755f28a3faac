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

// adding makes an ADDJOB of a queue, a body and the parameters of a request.
func adding(queue string, body []byte, params map[string][]string) ([][]byte, error) {
	timeout := addTimeout
	var options [][]byte
	for name, values := range params {
		value := values[len(values)-1]
		switch lower := strings.ToLower(name); {
		case slices.Contains(addOptions, lower):
			options = append(options, []byte(lower), []byte(value))
		case lower == "backoff":
			first, last, ok := strings.Cut(value, ",")
			if !ok {
				return nil, bad("backoff takes two times in seconds: backoff=1,3600")
			}
			options = append(options, words(lower, first, last)...)
		case lower == "async":
			if on, err := strconv.ParseBool(value); err != nil {
				return nil, bad("async is true or false")
			} else if on {
				options = append(options, []byte(lower))
			}
		case lower == "timeout":
			var err error
			if timeout, err = duration(value, time.Hour); err != nil {
				return nil, err
			}
		default:
			return nil, bad("there is no parameter %q", name)
		}
	}
	cmd := [][]byte{[]byte("ADDJOB"), []byte(queue), body, []byte(strconv.FormatInt(timeout.Milliseconds(), 10))}
	return append(cmd, options...), nil
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
	cmd, err := adding(r.PathValue("queue"), raw, r.URL.Query())
	if err != nil {
		refuse(w, err)
		return
	}
	v, err := g.ask(r, cmd)
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
	commands := make([][][]byte, len(list))
	for i, item := range list {
		b, err := batched(item)
		if err != nil {
			err = bad("job %d of the batch: %v", i, err)
		} else {
			commands[i], err = adding(r.PathValue("queue"), b, r.URL.Query())
		}
		if err != nil {
			refuse(w, err)
			return
		}
	}
	a, err := g.b.Call(r.Context(), r.RemoteAddr, commands...)
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
	var text *string
	if json.Unmarshal(item, &text) != nil {
		var one struct {
			Body     *string
			Encoding string
		}
		d := json.NewDecoder(bytes.NewReader(item))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("no text, and no object with body and encoding: %w", err)
		}
		if one.Encoding == "base64" && one.Body != nil {
			return (&body{*one.Body, one.Encoding}).bytes()
		}
		if one.Encoding != "" && one.Encoding != "text" {
			return nil, fmt.Errorf("encoding %q: text and base64 are known", one.Encoding)
		}
		text = one.Body
	}
	if text == nil {
		return nil, errors.New("no text, and no object with a body")
	}
	// What is no text in JSON is replaced when it is read.
	if strings.ContainsRune(*text, utf8.RuneError) && !bytes.ContainsRune(item, utf8.RuneError) && !bytes.Contains(bytes.ToLower(item), []byte(`\ufffd`)) || !utf8.Valid(item) {
		return nil, errors.New("it is no Unicode text; send it as base64")
	}
	return []byte(*text), nil
}
