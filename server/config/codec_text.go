package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	pathBytesMax    = 4096 // PATH_MAX of Linux
	passBytesMax    = 512  // as in Disque
	identBytesMax   = 255
	hostBytesMax    = 255 // RFC 1035
	bindMax         = 16  // as in Disque
	commandBytesMax = 128 // a random new name of 64 bytes, twice over
	renamesMax      = 256 // several times the number of commands
)

// text is a string of at most high bytes, any of them.
func text(field func(*Config) *string, def, values string, high int) codec {
	read := func(s string) (string, error) {
		if len(s) > high {
			return "", fmt.Errorf("must not be longer than %d bytes", high)
		}
		return s, nil
	}
	return single(field, def, values, read, same)
}

// path is the path of a file, which may be missing; "" is allowed where it is the default.
func path(field func(*Config) *string, def string) codec {
	return single(field, def, "path", func(s string) (string, error) {
		if s == "" && def != "" {
			return "", errors.New("must not be empty")
		}
		return s, checkPath(s)
	}, same)
}

// baseName is a file name without a directory.
func baseName(field func(*Config) *string, def string) codec {
	return single(field, def, "file name", func(s string) (string, error) {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, `/\`) {
			return "", errors.New("must be a file name, not a path")
		}
		return s, checkPath(s)
	}, same)
}

func checkPath(s string) error {
	if len(s) > pathBytesMax {
		return fmt.Errorf("must not be longer than %d bytes", pathBytesMax)
	}
	if strings.Contains(s, "\x00") {
		return errors.New("must not contain a zero byte")
	}
	return nil
}

// directory is the absolute path of a directory that exists and may be entered.
// A relative one starts at the working directory; so does the default.
func directory(field func(*Config) *string) codec {
	k := single(field, "", "path of a directory", readDirectory, same)
	k.reset = func(c *Config) {
		wd, err := os.Getwd()
		if err != nil { // the working directory was removed: nothing relative can be meant
			wd = string(filepath.Separator)
		}
		*field(c) = wd
	}
	return k
}

func readDirectory(s string) (string, error) {
	if s == "" {
		return "", errors.New("must not be empty")
	}
	if err := checkPath(s); err != nil {
		return "", err
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return "", err
	}
	// The dot asks the system whether we may enter it, as chdir would.
	if _, err = os.Stat(abs + string(filepath.Separator) + "."); err != nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return "", err
	}
	return abs, nil
}

// keepalive is a number of seconds, where yes means 60 and no means 0: Disque
// takes one form in the file and the other in CONFIG SET.
func keepalive(field func(*Config) *int) codec {
	const yes, no = 60, 0
	return single(field, yes, "seconds, 0 or more, or yes (60) or no (0)", func(s string) (int, error) {
		if on, err := readYesNo(s); err == nil {
			if on {
				return yes, nil
			}
			return no, nil
		}
		return readNumber(s, 0, unboundedNumber)
	}, strconv.Itoa)
}

// addresses is a list of 1 to 16 addresses or host names; "*" stands for all
// addresses and is stored as an empty list.
func addresses(field func(*Config) *[]string) codec {
	return codec{
		values: "1..16 addresses, or * for all",
		reset:  func(c *Config) { *field(c) = nil },
		parse: func(c *Config, args []string) error {
			list := words(args)
			if len(list) < 1 || len(list) > bindMax {
				return fmt.Errorf("takes 1 to %d addresses", bindMax)
			}
			if slices.Equal(list, []string{"*"}) {
				*field(c) = nil
				return nil
			}
			for _, host := range list {
				if !isHost(host) {
					return fmt.Errorf("'%s' is neither an address nor a host name", printable(host))
				}
			}
			*field(c) = list
			return nil
		},
		entries: func(c *Config) []entry {
			if len(*field(c)) == 0 {
				return []entry{{args: []string{"*"}}}
			}
			return []entry{{args: *field(c)}}
		},
		show: func(c *Config) string { return strings.Join(*field(c), " ") },
	}
}

// isHost reports whether s is an IP address or could be a host name.
func isHost(s string) bool {
	if len(s) > hostBytesMax {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && (i == 0 || c != '-' && c != '.' && c != '_') {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// words splits every argument at blanks, because CONFIG SET and a quoted option
// carry a whole list in one argument.
func words(args []string) []string {
	return strings.Fields(strings.Join(args, " "))
}
