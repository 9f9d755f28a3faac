package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/disqo/disqo/server/sim"
)

// SimOptions say what to simulate.
type SimOptions struct {
	Seed     uint64        // the first; 0: another one each time
	Seeds    int           // how many; 0: as many as there is time for
	For      time.Duration // how long, default a minute
	Time     time.Duration // simulated time of each, of load and faults; default 10 minutes
	Nodes    int           // default 5 in every second seed, else 2 to 7
	Workers  int           // simulations at a time, default one a processor
	Record   string        // a file to which a line is appended: what was simulated; "": none
	Progress io.Writer     // a line every ten seconds; nil: none
}

// SimReport is what simulations came to.
type SimReport struct {
	Seed     uint64
	Total    *sim.Total
	Recorded float64 // cluster-hours of all lines of the record
	Failure  string  // of the first failing seed, with all that is known; "" if there was none
}

const (
	simProgress = 10 * time.Second
	simExplain  = 2 * time.Minute // to find the steps that matter
)

// Sim simulates clusters, seed after seed; see package sim. The error says that
// one failed, or that the record cannot be kept.
func Sim(ctx context.Context, o SimOptions) (r SimReport, err error) {
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixMicro())
	}
	if o.For == 0 {
		o.For = time.Minute
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if r.Recorded, err = recordedHours(o.Record); err != nil {
		return r, err
	}
	r.Seed = o.Seed
	one := sim.Options{Seed: o.Seed, Time: o.Time, Nodes: o.Nodes}
	bounded := ctx
	if o.Seeds == 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	told := time.Duration(0)
	r.Total = sim.Many(bounded, one, o.Seeds, o.Workers, func(t *sim.Total) {
		if t.Took-told >= simProgress {
			told = t.Took
			fmt.Fprintf(o.Progress, "%v; with those recorded %.0f cluster-hours\n", t, r.Recorded+t.Simulated.Hours())
		}
	})
	if r.Total.Failed != nil {
		one.Seed = r.Total.Failed.Seed
		var text strings.Builder
		sim.Explain(&text, one, simExplain)
		r.Failure = text.String()
		err = fmt.Errorf("seed %d: %w", one.Seed, r.Total.Failed.Failure)
	}
	r.Recorded += r.Total.Simulated.Hours()
	return r, errors.Join(err, record(o.Record, &r))
}

// String returns the report in a few lines.
func (r *SimReport) String() string {
	return fmt.Sprintf("from seed %d: %v\n%s%.1f cluster-hours recorded in all\n", r.Seed, r.Total, r.Failure, r.Recorded)
}

// A record has a head and a line a run: date, commit, seeds, cluster-hours,
// simulated seconds a second, failures.
const recordHead = "# date\tcommit\tseeds\tcluster-hours\trate\tfailures\n"

func record(path string, r *SimReport) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	head := ""
	if size, _ := f.Seek(0, io.SeekEnd); size == 0 {
		head = recordHead
	}
	failures := 0
	if r.Total.Failed != nil {
		failures = 1
	}
	_, err = fmt.Fprintf(f, "%s%s\t%s\t%d\t%.1f\t%.0f\t%d\n", head, time.Now().UTC().Format(time.DateOnly), Commit(),
		r.Total.Seeds, r.Total.Simulated.Hours(), r.Total.Rate(), failures)
	return errors.Join(err, f.Close())
}

// recordedHours sums up what a record says.
func recordedHours(path string) (sum float64, err error) {
	if path == "" {
		return 0, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var date, commit string
		var seeds int
		var hours float64
		if _, err := fmt.Sscan(lines.Text(), &date, &commit, &seeds, &hours); err != nil {
			return 0, fmt.Errorf("bench: %s:%d is no line of a record: %w", path, n, err)
		}
		sum += hours
	}
	return sum, lines.Err()
}

// Commit returns the commit that this program was made of, as far as it knows.
func Commit() string { return sim.Commit() }
