package server

import (
	"fmt"
	"math"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// Defaults of ADDJOB, in seconds.
const (
	defaultTTL   = 86_400
	defaultRetry = 300 // or a tenth of the TTL, if that is less
)

// maxSeconds is the largest value of TTL, RETRY and DELAY.
const maxSeconds = math.MaxUint32

// addJob is a parsed ADDJOB. Its job aliases the arguments.
type addJob struct {
	spec    node.Spec
	timeout int64 // milliseconds for synchronous replication; 0: no timeout
	async   bool
}

// parseAddJob parses ADDJOB queue body ms-timeout [REPLICATE n] [SYNC n]
// [DELAY s] [RETRY s] [TTL s] [MAXLEN n] [PRIORITY n] [MAXTRIES n] [BACKOFF base max] [ASYNC] and checks all that does not depend on
// the node. copies is how many nodes hold the job if it does not say.
func parseAddJob(args [][]byte, cfg *config.Config, copies int) (req addJob, err error) {
	spec := &req.spec
	spec.Queue, spec.Body = args[1], args[2]
	spec.TTL = defaultTTL
	retry := int64(-1)
	terms := node.Terms{Priority: node.DefaultPriority}
	for i := 4; i < len(args); i++ {
		word := args[i]
		if is(word, "ASYNC") {
			req.async = true
			continue
		}
		if i++; i == len(args) {
			return req, errSyntax
		}
		var n int64
		switch {
		case is(word, "REPLICATE"):
			n, err = option(args[i], 1, math.MaxUint16, "ERR REPLICATE must be between 1 and 65535", "")
			spec.Repl = uint16(n)
		case is(word, "SYNC"):
			n, err = option(args[i], 1, math.MaxUint16, "ERR SYNC must be between 1 and 65535", "")
			spec.Sync = uint16(n)
		case is(word, "TTL"):
			n, err = option(args[i], 1, maxSeconds, "ERR TTL must be a number > 0", "TTL")
			spec.TTL = uint32(n)
		case is(word, "RETRY"):
			n, err = option(args[i], 0, maxSeconds, "ERR RETRY time must be a non negative number", "RETRY")
			retry = n
		case is(word, "DELAY"):
			n, err = option(args[i], 0, maxSeconds, "ERR DELAY time must be a non negative number", "DELAY")
			spec.Delay = uint32(n)
		case is(word, "MAXLEN"):
			n, err = option(args[i], 1, math.MaxInt64, "ERR MAXLEN must be a positive number", "")
			spec.MaxLen = int(n)
		case is(word, "PRIORITY"):
			n, err = option(args[i], 0, math.MaxUint32, errPriority, "")
			terms.Priority = uint32(n)
		case is(word, "MAXTRIES"):
			n, err = option(args[i], 0, math.MaxUint16, "ERR MAXTRIES must be between 0 and 65535; 0 is no limit", "")
			terms.Limit = uint16(n)
		case is(word, "BACKOFF"):
			if i++; i == len(args) {
				return req, errSyntax
			}
			terms.Base, terms.Most, err = backOff(args[i-1], args[i])
		default:
			err = errSyntax
		}
		if err != nil {
			return req, err
		}
	}
	if !terms.Plain() {
		own := terms // else every ADDJOB would allocate it
		spec.Terms = &own
	}
	if req.timeout, err = parseTimeout(args[3]); err != nil {
		return req, err
	}
	if retry < 0 {
		retry = max(1, min(defaultRetry, int64(spec.TTL)/10))
	}
	spec.Retry = uint32(retry)
	return req, checkAddJob(&req, cfg, copies)
}

// backOff reads the seconds of BACKOFF.
func backOff(first, last []byte) (base, most uint32, err error) {
	const text = "ERR BACKOFF takes two times in seconds, the first and the longest, from 1 to 4294967295"
	a, err := option(first, 1, maxSeconds, text, "")
	if err != nil {
		return 0, 0, err
	}
	b, err := option(last, 1, maxSeconds, text, "")
	if err == nil && b < a {
		err = fault(fmt.Sprintf("ERR BACKOFF %d %d: the longest time is shorter than the first", a, b))
	}
	return uint32(a), uint32(b), err
}

// option reads an option's number. One below the least has the reference's
// text; one that is too large, which the reference cuts to 32 bits, is named.
func option(b []byte, least, most int64, text fault, name string) (int64, error) {
	n, ok := parseInt(b)
	switch {
	case ok && n > most && name != "":
		return 0, fault(fmt.Sprintf("ERR %s must be at most %d seconds", name, most))
	case !ok || n < least || n > most:
		return 0, text
	}
	return n, nil
}

func checkAddJob(req *addJob, cfg *config.Config, copies int) error {
	spec := &req.spec
	if spec.Repl != 0 {
		copies = int(spec.Repl)
	}
	switch {
	case req.async && spec.Sync > 1:
		return fault("ERR ASYNC answers at once, SYNC when so many nodes hold the job: choose one of them")
	case int(spec.Sync) > copies:
		return fault(fmt.Sprintf("ERR SYNC %d is more than the %d nodes that shall hold the job; see REPLICATE", spec.Sync, copies))
	case copies > 1 && spec.Retry == 0:
		return fault("ERR With RETRY set to 0 please explicitly set  REPLICATE to 1 (at-most-once delivery)")
	case spec.Retry == 0 && spec.Terms != nil && spec.Terms.Limit > 0:
		return fault("ERR MAXTRIES needs RETRY above 0: a job with RETRY 0 is delivered once at most")
	case spec.Retry == 0 && spec.Terms != nil && spec.Terms.Base > 0:
		return fault("ERR BACKOFF needs RETRY above 0: a job with RETRY 0 is delivered once at most")
	case spec.Delay >= spec.TTL:
		return fault("ERR The specified DELAY is greater than TTL. Job refused since would never be delivered")
	case int64(len(spec.Body)) > cfg.MaxJobSize:
		return fault(fmt.Sprintf("ERR job of %d bytes exceeds max-job-size %d", len(spec.Body), cfg.MaxJobSize))
	}
	return checkQueueName(spec.Queue, cfg)
}

func checkQueueName(name []byte, cfg *config.Config) error {
	if len(name) > cfg.MaxQueueName {
		return fault(fmt.Sprintf("ERR queue name of %d bytes exceeds max-queue-name %d", len(name), cfg.MaxQueueName))
	}
	return nil
}

// getJob is a parsed GETJOB. queues aliases the arguments.
type getJob struct {
	queues   [][]byte
	count    int
	timeout  int64 // milliseconds; 0: for ever
	nohang   bool
	counters bool
}

// parseGetJob parses GETJOB [NOHANG] [TIMEOUT ms] [COUNT n] [WITHCOUNTERS]
// FROM queue [queue ...]; every word after FROM is a queue.
func parseGetJob(args [][]byte, cfg *config.Config) (req getJob, err error) {
	req.count = 1
	for i := 1; i < len(args); i++ {
		word, more := args[i], i+1 < len(args)
		switch {
		case is(word, "NOHANG"):
			req.nohang = true
		case is(word, "WITHCOUNTERS"):
			req.counters = true
		case is(word, "TIMEOUT") && more:
			i++
			if req.timeout, err = parseTimeout(args[i]); err != nil {
				return req, err
			}
		case is(word, "COUNT") && more:
			i++
			n, ok := parseInt(args[i])
			if !ok || n <= 0 {
				return req, fault("ERR COUNT must be a number greater than zero")
			}
			req.count = int(min(n, math.MaxInt32))
		case is(word, "FROM") && more:
			req.queues = args[i+1:]
			for _, q := range req.queues {
				if err := checkQueueName(q, cfg); err != nil {
					return req, err
				}
			}
			return req, nil
		default:
			return req, errSyntax
		}
	}
	return req, errSyntax
}

// parseIDs reads job ids. Ids that nobody can know are left out, and counted
// by no command; one that is no id at all refuses them all.
func parseIDs(dst []node.ID, args [][]byte) ([]node.ID, error) {
	for _, a := range args {
		id, ok, err := node.ParseID(a)
		if err != nil {
			return nil, err
		}
		if ok {
			dst = append(dst, id)
		}
	}
	return dst, nil
}
