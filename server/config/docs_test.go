package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "TestDocs: write docs/configuration.md anew")

const docsPage = "../../docs/configuration.md"

// docsHead stands above the tables. The page is made, so it says by what.
const docsHead = `# Configuration

<!-- Made by: go test ./server/config -run Docs -update -->

A directive is a line of the configuration file, or an option, which wins: ` + "`appendonly yes`, `--appendonly yes`" + `. ` + "`disqo --help`" + `
prints them too. Those with "yes" under CONFIG SET can be changed while the broker runs, and ` + "`CONFIG REWRITE`" + ` keeps that in the file; the
others are read at the start. Sizes take ` + "`k`, `kb`, `m`, `mb`, `g` and `gb`" + `. What happens beyond a limit is in [operations.md](operations.md#limits).
`

// docs/configuration.md has every directive as the code has it.
func TestDocs(t *testing.T) {
	t.Parallel()
	want := docsHead + docsTables(t)
	if *update {
		require.NoError(t, os.WriteFile(docsPage, []byte(want), 0o644))
	}
	require.Equal(t, want, readText(t, docsPage), "go test ./server/config -run Docs -update")
}

// docsTables has a table for each theme, in the order of Config.
func docsTables(t *testing.T) string {
	t.Helper()
	themes, themeOf := themes(t)
	rows := make(map[string]*strings.Builder)
	for _, theme := range themes {
		rows[theme] = new(strings.Builder)
	}
	for _, d := range Directives() {
		theme := themeOf[strings.ReplaceAll(d.Name, "-", "")]
		if d.Name == includeName {
			theme = themeOf["dir"]
		}
		require.Contains(t, rows, theme, d.Name)
		def, settable := "", ""
		if d.Default != "" {
			def = "`" + d.Default + "`"
		}
		if d.Settable {
			settable = "yes"
		}
		_, _ = fmt.Fprintf(rows[theme], "| `%s` | %s | %s | %s | %s |\n", d.Name, def, cell(d.Values), settable, cell(d.Help))
	}
	var page strings.Builder
	for _, theme := range themes {
		_, _ = fmt.Fprintf(&page, "\n## %s\n\n| directive | default | values | CONFIG SET | |\n|---|---|---|---|---|\n%s", theme, rows[theme])
	}
	return page.String()
}

// cell keeps a text from ending a cell of a table.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text) }

// themes returns the comments that stand alone in Config, in order, and which of
// them each field is under, by its name in lower case.
func themes(t *testing.T) (list []string, of map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	require.NoError(t, err)
	var fields *ast.FieldList
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Config" {
			fields = spec.Type.(*ast.StructType).Fields
		}
		return true
	})
	beside := make(map[*ast.CommentGroup]bool)
	for _, f := range fields.List {
		beside[f.Doc], beside[f.Comment] = true, true
	}
	of = make(map[string]string)
	comments := file.Comments
	for _, f := range fields.List {
		for ; len(comments) > 0 && comments[0].Pos() < f.Pos(); comments = comments[1:] {
			if c := comments[0]; c.Pos() > fields.Pos() && !beside[c] {
				list = append(list, strings.TrimSuffix(strings.TrimSpace(c.Text()), "."))
			}
		}
		require.NotEmpty(t, list, "Config begins with a comment that names a theme")
		for _, name := range f.Names {
			of[strings.ToLower(name.Name)] = list[len(list)-1]
		}
	}
	return list, of
}
