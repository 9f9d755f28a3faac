package main

import (
	"embed"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/cmd/disqo/top"
	"github.com/disqo/disqo/server/config"
)

// scripts are the completion scripts, by shell: templates over script.
//
//go:embed completion
var scripts embed.FS

// shells are those that there is a script for.
var shells = []string{"bash", "zsh", "fish"}

// script is what is completed.
type script struct {
	Shells     []string
	Checks     []config.Doc // options that come first, and are followed by directives
	Asks       []config.Doc // options that stand alone
	Commands   []config.Doc
	Directives []config.Doc
	Top        []config.Doc // options of top
	Import     []config.Doc // options of import-disque
}

// completion prints the script of a shell. It returns an exit code.
func completion(args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 || !slices.Contains(shells, args[0]) {
		fmt.Fprintf(stderr, "disqo: completion takes the name of a shell: %s\n", strings.Join(shells, ", "))
		return 1
	}
	t := template.Must(template.New(args[0]).Funcs(template.FuncMap{
		"quote": quote, "fishquote": fishQuote, "join": strings.Join,
		"dashed": client.Dashed,
	}).ParseFS(scripts, "completion/"+args[0]))
	if err := t.ExecuteTemplate(stdout, args[0], completed()); err != nil {
		fmt.Fprintf(stderr, "disqo: completion: %v\n", err)
		return 1
	}
	return 0
}

func completed() script {
	return script{
		Shells: shells,
		Checks: []config.Doc{
			{Name: "healthcheck", Help: "ask whether the broker that was started so lives"},
			{Name: "readycheck", Help: "ask whether clients should be sent to it"},
		},
		Asks: []config.Doc{{Name: "version", Help: "print the version"}, {Name: "help", Help: "print all directives"}},
		Commands: []config.Doc{
			{Name: "top", Help: "show a broker on the terminal, live"},
			{Name: "completion", Help: "print a completion script for a shell"},
			{Name: "import-disque", Help: "put the jobs of append-only files of Disque into a broker"},
		},
		Directives: config.Directives(),
		Top:        optionDocs(top.Flags()),
		Import:     optionDocs(importFlags(new(importOptions))),
	}
}

// optionDocs returns what is said of options.
func optionDocs(flags *flag.FlagSet) (docs []config.Doc) {
	flags.VisitAll(func(f *flag.Flag) {
		value, help := flag.UnquoteUsage(f)
		docs = append(docs, config.Doc{Name: f.Name, Values: value, Help: help})
	})
	return docs
}

// quote makes one word of a text for bash and zsh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fishQuote does so for fish, which has escapes within quotes.
func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
