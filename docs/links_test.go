package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = ".."

// Every relative link of the README, the pages here and the DESIGNs leads to a file, and what
// follows a # in it to a heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages := markdown(t)
	require.Greater(t, len(pages), 15)
	for page, text := range pages {
		for _, link := range links(text) {
			target, fragment, _ := strings.Cut(link, "#")
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			_, err := os.Stat(filepath.Join(root, file))
			require.NoError(t, err, "%s has the link %s", page, link)
			if fragment != "" {
				require.Contains(t, headings(pages[file]), fragment, "%s has the link %s", page, link)
			}
		}
	}
}

// markdown returns the pages of the repository by their path from its root.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	pages := make(map[string]string)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			if d != nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		pages[name] = string(text)
		return err
	}))
	return pages
}

var (
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	mdLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	htmlLink = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// links returns the links of a page that are relative.
func links(text string) (list []string) {
	text = fence.ReplaceAllString(text, "")
	for _, m := range append(mdLink.FindAllStringSubmatch(text, -1), htmlLink.FindAllStringSubmatch(text, -1)...) {
		if u, err := url.Parse(m[1]); err != nil || u.Scheme == "" {
			list = append(list, m[1])
		}
	}
	return list
}

// headings returns the anchors that a page's headings are given, as GitHub does.
func headings(text string) (list []string) {
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		list = append(list, strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return list
}

func TestLinksAreFound(t *testing.T) {
	t.Parallel()
	const text = "# A [page](b.md#x-y)\n```\n[no](no)\n# no\n```\n![p](p.png) [out](https://example.org/) [self](#z)\n<img src=\"i.png\">\n## Health, and `x`\n"
	require.Equal(t, []string{"b.md#x-y", "p.png", "#z", "i.png"}, links(text))
	require.Equal(t, []string{"a-pagebmdx-y", "health-and-x"}, headings(text))
}
