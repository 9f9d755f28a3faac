package httpapi

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// body is that of a job: text if that mangles nothing.
type body struct {
	Text     string `json:"body"`
	Encoding string `json:"encoding"` // text or base64
}

func newBody(b []byte) body {
	if utf8.Valid(b) {
		return body{string(b), "text"}
	}
	return body{base64.StdEncoding.EncodeToString(b), "base64"}
}

func (b *body) bytes() ([]byte, error) {
	switch b.Encoding {
	case "", "text":
		return []byte(b.Text), nil
	case "base64":
		raw, err := base64.StdEncoding.DecodeString(b.Text)
		if err != nil {
			return nil, bad("a body that is no base64: %v", err)
		}
		return raw, nil
	}
	return nil, bad("encoding %q: text and base64 are known", b.Encoding)
}

// shownQueue returns the name of a queue as it is shown, and if that is not the name
// itself, which is no text then, what paths have for it.
func shownQueue(raw []byte) (name, key string) {
	if !utf8.Valid(raw) {
		key = pathKey(string(raw))
	}
	return label(string(raw)), key
}

// fields returns the pairs of SHOW and QSTAT as an object, names in JSON's usual form,
// and the body by itself.
func fields(v any) (m map[string]any, body []byte) {
	list, ok := v.([]any)
	if !ok {
		return nil, nil
	}
	m = map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].([]byte)
		raw, _ := list[i+1].([]byte)
		switch string(name) {
		case "body":
			body = raw
		case "queue", "name":
			shown, key := shownQueue(raw)
			if m[string(name)] = shown; key != "" {
				m["queueKey"] = key
			}
		default:
			m[camel(string(name))] = plain(list[i+1])
		}
	}
	return m, body
}

// putBody adds a body to a job.
func putBody(job map[string]any, raw []byte) {
	b := newBody(raw)
	job["body"], job["encoding"] = b.Text, b.Encoding
}

// bodyShown is how much of a body lists of jobs have, bytes.
const bodyShown = 4096

// putStart adds what is shown of a body in a list, which ends with a character if it is
// text.
func putStart(job map[string]any, raw []byte) {
	cut := min(len(raw), bodyShown)
	if cut < len(raw) {
		job["truncated"] = true
		for cut > bodyShown-utf8.UTFMax && !utf8.RuneStart(raw[cut]) {
			cut--
		}
	}
	putBody(job, raw[:cut])
	job["bodyBytes"] = len(raw)
}

// plain returns a reply as JSON has it.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return newBody(v).Text
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

// camel turns next-requeue-within into nextRequeueWithin.
func camel(name string) string {
	head, rest, more := strings.Cut(name, "-")
	for more && rest != "" {
		var part string
		part, rest, more = strings.Cut(rest, "-")
		head += strings.ToUpper(part[:min(1, len(part))]) + part[min(1, len(part)):]
	}
	return head
}
