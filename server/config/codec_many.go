package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/disqo/disqo/server/acl"
)

// outputLimit is client-output-buffer-limit <class> <hard> <soft> <seconds>, as
// in Redis; the only class is normal. Several may follow each other.
func outputLimit(field func(*Config) *OutputLimit, def OutputLimit) codec {
	write := func(c *Config, write func(int64) string) []string {
		l := *field(c)
		return []string{"normal", write(l.Hard), write(l.Soft), strconv.Itoa(l.SoftSeconds)}
	}
	return codec{
		values: "normal <hard bytes> <soft bytes> <seconds>",
		reset:  func(c *Config) { *field(c) = def },
		parse: func(c *Config, args []string) error {
			list := words(args)
			if len(list) == 0 || len(list)%4 != 0 {
				return errors.New("takes <class> <hard bytes> <soft bytes> <seconds>")
			}
			var limit OutputLimit
			for l := range slices.Chunk(list, 4) {
				var err error
				if limit, err = readOutputLimit(l); err != nil {
					return err
				}
			}
			*field(c) = limit
			return nil
		},
		entries: func(c *Config) []entry { return []entry{{args: write(c, writeSize)}} },
		show: func(c *Config) string {
			plain := func(n int64) string { return strconv.FormatInt(n, 10) }
			return strings.Join(write(c, plain), " ")
		},
	}
}

// readOutputLimit reads class, hard, soft and seconds.
func readOutputLimit(words []string) (OutputLimit, error) {
	if !strings.EqualFold(words[0], "normal") {
		return OutputLimit{}, errors.New("the only client class is 'normal'")
	}
	hard, errHard := readSize(words[1])
	soft, errSoft := readSize(words[2])
	seconds, errSeconds := readNumber(words[3], 0, unboundedNumber)
	return OutputLimit{Hard: hard, Soft: soft, SoftSeconds: seconds}, cmp.Or(errHard, errSoft, errSeconds)
}

// renames is rename-command NAME NEW, once for each command to rename; an empty
// NEW disables it. The last line for a command counts. Whether the commands
// exist is for the owner of the command table to check.
func renames(field func(*Config) *[]Rename) codec {
	return codec{
		values: `<command> <new name>, "" disables it`,
		reset:  func(c *Config) { *field(c) = nil },
		parse: func(c *Config, args []string) error {
			if len(args) != 2 || !isCommand(args[0]) || args[1] != "" && !isCommand(args[1]) {
				return fmt.Errorf("takes a command and its new name, each of at most %d printable characters", commandBytesMax)
			}
			list, err := withRename(*field(c), Rename{From: args[0], To: args[1]})
			if err == nil {
				*field(c) = list
			}
			return err
		},
		entries: func(c *Config) []entry {
			var list []entry
			for _, r := range *field(c) {
				list = append(list, entry{key: strings.ToLower(r.From), args: []string{r.From, r.To}})
			}
			return list
		},
		show: func(*Config) string { return "" }, // a new name may be a secret, so the directive is not readable
		key: func(args []string) string {
			if len(args) == 0 {
				return ""
			}
			return strings.ToLower(args[0])
		},
	}
}

// withRename returns a new list in which r replaces or joins the others, in order.
func withRename(old []Rename, r Rename) ([]Rename, error) {
	i, found := slices.BinarySearchFunc(old, r.From, func(have Rename, from string) int {
		return strings.Compare(strings.ToLower(have.From), strings.ToLower(from))
	})
	if !found && len(old) == renamesMax {
		return nil, fmt.Errorf("more than %d commands are renamed", renamesMax)
	}
	list := slices.Clone(old)
	if found {
		list[i] = r
		return list, nil
	}
	return slices.Insert(list, i, r), nil
}

// users is user NAME rule ..., once for each user. The last line for a user
// counts, and says all of it.
func users(field func(*Config) *acl.Users) codec {
	return codec{
		values: "<name> on|off >password ~queues +@category ...",
		reset:  func(c *Config) { *field(c) = acl.Users{} },
		parse: func(c *Config, args []string) error {
			if len(args) == 0 {
				return errors.New("takes a name and rules")
			}
			u, err := acl.NewUser(args[0])
			if err == nil {
				u, err = u.With(args[1:]...)
			}
			if err != nil {
				return err
			}
			list, err := field(c).With(u)
			if err == nil {
				*field(c) = list
			}
			return err
		},
		entries: func(c *Config) []entry {
			var list []entry
			for _, u := range field(c).All() {
				list = append(list, entry{key: u.Name, args: append([]string{u.Name}, u.Rules()...)})
			}
			return list
		},
		show: func(*Config) string { return "" },
		key: func(args []string) string {
			if len(args) == 0 {
				return ""
			}
			return args[0]
		},
	}
}

// isCommand reports whether s could be typed as a command: printable ASCII
// without blanks.
func isCommand(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= commandBytesMax
}
