package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	fileBytesMax    = 1 << 20 // a configuration file is read whole
	includeDepthMax = 16      // files that include each other, the first one not counted
	includesMax     = 256     // included files in all: depth alone would allow 2^16
)

// Load reads the configuration of a node that was started with args, which is
// os.Args[1:]: `[file | -] [--directive value ...]`. '-' reads standard input.
// Options are applied after the file. An option's values are all arguments up
// to the next one that starts with "--".
//
// An error about a line or an option is a *SourceError that says where it is.
func Load(args []string) (*Set, error) { return load(args, os.Stdin) }

func load(args []string, stdin io.Reader) (*Set, error) {
	l, all := loader{config: Default()}, args
	file := ""
	switch {
	case len(args) == 0 || strings.HasPrefix(args[0], "--"):
	case args[0] == "-":
		text, err := readAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration from standard input: %w", err)
		}
		if err := l.text("<stdin>", text, 0); err != nil {
			return nil, err
		}
		args = args[1:]
	default:
		var err error
		if file, err = l.mainFile(args[0]); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	if err := l.options(args); err != nil {
		return nil, err
	}
	s := New(l.config)
	s.file, s.args = file, all
	return s, nil
}

// loader applies text to one Config.
type loader struct {
	config   *Config
	includes int // files included so far
}

// mainFile loads the file named on the command line and returns its absolute path.
func (l *loader) mainFile(name string) (string, error) {
	file, err := filepath.Abs(name)
	if err != nil {
		return "", fmt.Errorf("config file '%s': %w", name, err)
	}
	text, err := readFile(file)
	if err != nil {
		return "", fmt.Errorf("can't read the config file: %w", err)
	}
	return file, l.text(file, text, 0)
}

// text applies the lines of a file. depth counts the files around it.
func (l *loader) text(file string, text []byte, depth int) error {
	n := 0
	for raw := range bytes.SplitSeq(text, []byte("\n")) {
		n++
		line := string(raw)
		if isComment(line) {
			continue
		}
		if err := l.line(file, line, depth); err != nil {
			return &SourceError{Where: fmt.Sprintf("%s:%d", file, n), Text: shown(line), Err: err}
		}
	}
	return nil
}

// line applies one line that is no comment.
func (l *loader) line(file, line string, depth int) error {
	args, err := splitArgs(line)
	if err != nil {
		return err
	}
	return l.directive(args[0], args[1:], filepath.Dir(file), depth)
}

// options applies `--directive value ...`.
func (l *loader) options(args []string) error {
	for len(args) > 0 {
		n := 1
		for n < len(args) && !strings.HasPrefix(args[n], "--") {
			n++
		}
		option := args[:n]
		name, ok := strings.CutPrefix(option[0], "--")
		if !ok {
			return fmt.Errorf("command line: unexpected argument '%s', an option starts with --", printable(option[0]))
		}
		if err := l.directive(name, option[1:], ".", 0); err != nil {
			text := "--" + shown(joinArgs(append([]string{name}, option[1:]...)))
			return &SourceError{Where: "command line", Text: text, Err: err}
		}
		args = args[n:]
	}
	return nil
}

// directive applies one directive found in a file of directory dir.
func (l *loader) directive(name string, args []string, dir string, depth int) error {
	if strings.EqualFold(name, includeName) {
		return l.include(args, dir, depth)
	}
	d := lookup(name)
	if d == nil {
		return &UnknownError{Name: name, Nearest: nearest(name)}
	}
	return d.apply(l.config, name, args)
}

// include reads another file in the place of an include line. A relative path
// starts at the including file, or else, as in Disque, at the working directory.
func (l *loader) include(args []string, dir string, depth int) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("takes the path of one file")
	}
	if err := checkPath(args[0]); err != nil {
		return err
	}
	if depth == includeDepthMax {
		return fmt.Errorf("files include each other more than %d deep", includeDepthMax)
	}
	if l.includes++; l.includes > includesMax {
		return fmt.Errorf("more than %d files are included", includesMax)
	}
	file := args[0]
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, args[0])
	}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		file = args[0]
		info, err = os.Stat(file)
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // reading a pipe or device could block for ever
		return fmt.Errorf("%s is not a regular file", printable(file))
	}
	text, err := readFile(file)
	if err != nil {
		return err
	}
	return l.text(file, text, depth+1)
}

// shown returns a line for an error message, without its value when that is a secret.
func shown(line string) string {
	first := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(blanks+`"'`, r) })
	if len(first) == 0 {
		return printable(line)
	}
	if d := lookup(first[0]); d != nil && d.has(secret) {
		return d.name + " <hidden>"
	}
	return printable(line)
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := readAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return text, nil
}

// readAll reads at most fileBytesMax.
func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, fileBytesMax+1))
	if err == nil && len(text) > fileBytesMax {
		err = fmt.Errorf("longer than %d bytes", fileBytesMax)
	}
	return text, err
}
