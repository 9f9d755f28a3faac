package top

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Control sequences, those that every terminal has had for decades.
const (
	// Another screen, so that the shell's is there afterwards; no cursor, no
	// wrapping of what a terminal thinks is wider than we do.
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"

	topLeft    = "\x1b[H"
	clearLine  = "\x1b[K" // from the cursor on
	clearBelow = "\x1b[J"
)

// screen is a terminal in raw mode.
type screen struct {
	in, out *os.File
	before  *term.State
}

// open refuses what cannot be drawn on.
func open(stdin *os.File, stdout io.Writer) (*screen, error) {
	out, ok := stdout.(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, errors.New("standard input and output are not a terminal: say --once")
	}
	if t := os.Getenv("TERM"); t == "" || t == "dumb" {
		return nil, fmt.Errorf("a terminal of the kind %q cannot be drawn on: say --once", t)
	}
	before, err := term.MakeRaw(int(stdin.Fd()))
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	s := &screen{stdin, out, before}
	if _, err := io.WriteString(out, enterScreen); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close makes the terminal what it was before.
func (s *screen) close() error {
	_, err := io.WriteString(s.out, leaveScreen)
	return errors.Join(err, term.Restore(int(s.in.Fd()), s.before))
}

// size returns that of a terminal, and the usual one if it does not know.
func size(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// draw shows a picture, in one write so that nothing flickers.
func (s *screen) draw(p *picture) error {
	width, height := size(s.out)
	b := []byte(topLeft)
	for i, l := range p.lines(width, height) {
		if i > 0 {
			b = append(b, "\r\n"...)
		}
		b = append(b, l.render(width, p.color)...)
		b = append(b, clearLine...)
	}
	b = append(b, clearBelow...)
	_, err := s.out.Write(b)
	return err
}
