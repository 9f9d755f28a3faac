package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/disqo/disqo/bench/compare"
	"github.com/disqo/disqo/bench/page"
)

func makePage(args []string, stderr io.Writer) error {
	f := flags("page", "Puts the tables and plots of reports in a page, in the place of those that are there.", stderr)
	path := f.String("page", "docs/performance.md", "the page; plots go to a directory beside it that has its name")
	files := f.String("reports", "", "files that disqo-bench compare -json wrote, separated by commas")
	if err := parse(f, args); err != nil {
		return err
	}
	var reports []compare.Report
	for file := range strings.SplitSeq(*files, ",") {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var r compare.Report
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		reports = append(reports, r)
	}
	return page.Update(*path, reports)
}
