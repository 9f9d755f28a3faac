package page

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/disqo/disqo/bench/compare"
)

// What is between these two lines of a page is replaced.
const (
	begin = "<!-- what was measured begins here; disqo-bench page writes it -->"
	end   = "<!-- what was measured ends here -->"
)

// Update puts the tables of the reports in the page at path, in the place of
// those that are there, and the plots in a directory beside it that has the
// page's name.
func Update(path string, reports []compare.Report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("page: %s has no place for tables; give it the lines\n%s\n%s", path, begin, end)
	}
	dir := strings.TrimSuffix(path, filepath.Ext(path))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	plots, err := draw(dir, reports)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var b strings.Builder
	b.WriteString(before + begin + "\n")
	for _, p := range plots {
		fmt.Fprintf(&b, "\n![%s](%s/%s)\n", p.title, filepath.Base(dir), p.file)
	}
	for i := range reports {
		tables(&b, &reports[i])
	}
	b.WriteString("\n" + end + after)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}
