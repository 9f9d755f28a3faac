package sim

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Shrink takes steps out of a failing plan as long as it fails in the same way,
// by the ddmin algorithm (Zeller and Hildebrandt, TSE 2002), until none can go or
// so much time has passed. It returns the steps that are left.
func Shrink(o Options, most time.Duration) []int {
	whole := Run(o)
	if whole.Failure == nil {
		return o.Only
	}
	end := time.Now().Add(most)
	o.Trace = nil
	fails := func(only []int) bool {
		o.Only = only
		r := Run(o)
		return r.Failure != nil && r.Failure.Kind == whole.Failure.Kind
	}
	left := o.Only
	if left == nil {
		for i := range whole.Steps {
			left = append(left, i)
		}
	}
	for parts := 2; parts <= len(left) && time.Now().Before(end); {
		smaller := false
		for i := 0; i < parts && time.Now().Before(end); i++ {
			rest := slices.Delete(slices.Clone(left), i*len(left)/parts, (i+1)*len(left)/parts)
			if fails(rest) {
				left, smaller = rest, true
				parts = max(2, parts-1)
				break
			}
		}
		if !smaller {
			if parts == len(left) {
				break
			}
			parts = min(2*parts, len(left))
		}
	}
	return left
}

// Explain writes what is known of a failure: the seed, the commit, the steps that
// lead to it after Shrink, what became of the job it is about, and the command
// that repeats it.
func Explain(w io.Writer, o Options, most time.Duration) {
	o.Only = Shrink(o, most)
	r := Run(o)
	if r.Failure == nil {
		fmt.Fprintf(w, "seed %d: no failure\n", o.Seed)
		return
	}
	fmt.Fprintf(w, "seed %d, commit %s: %v\n\n%d of %d steps:\n", o.Seed, Commit(), r.Failure, len(o.Only), r.Steps)
	plan := newSim(o).plan
	for _, i := range o.Only {
		fmt.Fprintf(w, "%6d  %v\n", i, plan[i])
	}
	if r.Failure.Job > 0 {
		fmt.Fprintf(w, "\njob %d:\n", r.Failure.Job)
		o.Job, o.Trace = r.Failure.Job, w
		Run(o)
	}
	fmt.Fprintf(w, "\nrepeat with: go test ./server/sim -run TestSeed -v -sim.seed %d -sim.nodes %d -sim.time %v -sim.only %s\n",
		o.Seed, r.Nodes, o.span(), ranges(o.Only))
}

// ranges writes ascending numbers as 1-3,7.
func ranges(list []int) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if fmt.Fprint(&b, list[i]); j > i {
			fmt.Fprintf(&b, "-%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}

// ParseSteps reads what a report says of the steps: 1-3,7. An empty text means
// all, which is nil.
func ParseSteps(text string) (list []int, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 1 {
			to = from
		} else if n == 0 || to < from {
			return nil, fmt.Errorf("%q is not a list of steps such as 1-3,7", text)
		}
		for i := from; i <= to; i++ {
			list = append(list, i)
		}
	}
	return list, nil
}

// Commit returns the commit that this program was made of, as far as it knows.
func Commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		revision, dirty := "", ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+"
			}
		}
		if revision != "" {
			return revision[:min(12, len(revision))] + dirty
		}
	}
	dir, _ := os.Getwd()
	for ; dir != "/" && dir != ""; dir = filepath.Dir(dir) { // go test does not say
		head, err := os.ReadFile(filepath.Join(dir, ".git", "HEAD"))
		if err != nil {
			continue
		}
		text := strings.TrimSpace(string(head))
		if ref, ok := strings.CutPrefix(text, "ref: "); ok {
			if head, err = os.ReadFile(filepath.Join(dir, ".git", ref)); err != nil {
				break
			}
			text = strings.TrimSpace(string(head))
		}
		return text[:min(12, len(text))]
	}
	return "unknown"
}
