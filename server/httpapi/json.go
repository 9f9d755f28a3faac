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

// fields returns the pairs of SHOW and QSTAT as an object: names in JSON's usual
// form, the body as text or base64.
func fields(v any) map[string]any {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].([]byte)
		value := list[i+1]
		if string(name) == "body" {
			raw, _ := value.([]byte)
			b := newBody(raw)
			m["body"], m["encoding"] = b.Text, b.Encoding
			continue
		}
		if raw, _ := value.([]byte); (string(name) == "queue" || string(name) == "name") && !utf8.Valid(raw) {
			m[string(name)], m["queueKey"] = label(string(raw)), pathKey(string(raw))
			continue
		}
		m[camel(string(name))] = plain(value)
	}
	return m
}

// bodyOf returns the body among the pairs of SHOW.
func bodyOf(pairs []any) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, _ := pairs[i].([]byte); string(name) == "body" {
			raw, _ := pairs[i+1].([]byte)
			return raw
		}
	}
	return nil
}

// bodyShown is how much of a body lists of jobs have, bytes.
const bodyShown = 4096

// shorten cuts the body of a job that is one of a list, at the end of a character if
// it is text.
func shorten(job map[string]any, raw []byte) map[string]any {
	job["bodyBytes"] = len(raw)
	if len(raw) <= bodyShown {
		return job
	}
	cut := bodyShown
	for cut > bodyShown-utf8.UTFMax && !utf8.RuneStart(raw[cut]) {
		cut--
	}
	b := newBody(raw[:cut])
	job["body"], job["encoding"], job["truncated"] = b.Text, b.Encoding, true
	return job
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
