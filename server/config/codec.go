package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// codec turns the text of one directive into a field of Config and back. What
// entries prints, parse reads to the same value.
type codec struct {
	values  string                               // unit and bounds, or the words it takes
	words   []string                             // the words it takes; nil if it takes anything else
	reset   func(c *Config)                      // sets the default
	parse   func(c *Config, args []string) error // leaves c alone on error; never writes into a slice of c
	entries func(c *Config) []entry              // as in a configuration file
	show    func(c *Config) string               // as in CONFIG GET
	key     func(args []string) (which string)   // nil unless the directive is repeatable: what tells its lines apart
}

// entry is one line of a directive in a configuration file.
type entry struct {
	key  string // see codec.key; "" unless repeatable
	args []string
}

// keyOf returns which of the directive's lines one with these args is.
func (k *codec) keyOf(args []string) string {
	if k.key == nil {
		return ""
	}
	return k.key(args)
}

// unbounded as the upper bound of a number or a size means that only its type bounds it.
const (
	unboundedNumber = math.MaxInt32
	unboundedBytes  = math.MaxInt64
)

var (
	errOneValue  = errors.New("takes exactly one value")
	errNotNumber = errors.New("must be a whole number")
	errNotSize   = errors.New("must be a number of bytes, with an optional unit: b k kb m mb g gb")
	errNotYesNo  = errors.New("must be 'yes' or 'no'")
)

// single builds the codec of a directive with one value of type T in one field.
func single[T any](field func(*Config) *T, def T, values string, read func(string) (T, error), write func(T) string) codec {
	return codec{
		values: values,
		reset:  func(c *Config) { *field(c) = def },
		parse: func(c *Config, args []string) error {
			if len(args) != 1 {
				return errOneValue
			}
			v, err := read(args[0])
			if err == nil {
				*field(c) = v
			}
			return err
		},
		entries: func(c *Config) []entry { return []entry{{args: []string{write(*field(c))}}} },
		show:    func(c *Config) string { return write(*field(c)) },
	}
}

// number is a whole number from low to high. unit names what is counted.
func number(field func(*Config) *int, def, low, high int, unit string) codec {
	read := func(s string) (int, error) { return readNumber(s, low, high) }
	return single(field, def, unit+", "+numberRange(low, high), read, strconv.Itoa)
}

func readNumber(s string, low, high int) (int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errNotNumber
	}
	if n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("must be %s", numberRange(low, high))
	}
	return int(n), nil
}

func numberRange(low, high int) string {
	if high == unboundedNumber {
		return fmt.Sprintf("%d or more", low)
	}
	return fmt.Sprintf("%d..%d", low, high)
}

// clamped is a number that is moved into its bounds instead of being refused;
// only a negative one is refused.
func clamped(field func(*Config) *int, def, low, high int, unit string) codec {
	read := func(s string) (int, error) {
		n, err := readNumber(s, 0, unboundedNumber)
		return min(max(n, low), high), err
	}
	return single(field, def, unit+", clamped to "+numberRange(low, high), read, strconv.Itoa)
}

// octal is a set of permission bits, written in octal.
func octal(field func(*Config) *uint32, def, high uint32) codec {
	bounds := fmt.Sprintf("octal, 0..%o", high)
	read := func(s string) (uint32, error) {
		n, err := strconv.ParseUint(s, 8, 32)
		if err != nil || uint32(n) > high {
			return 0, fmt.Errorf("must be %s", bounds)
		}
		return uint32(n), nil
	}
	return single(field, def, bounds, read, func(n uint32) string { return strconv.FormatUint(uint64(n), 8) })
}

// size is a number of bytes from low to high; a file may use units, CONFIG GET
// shows plain bytes.
func size(field func(*Config) *int64, def, low, high int64) codec {
	bounds := writeSize(low) + ".." + writeSize(high)
	if high == unboundedBytes {
		bounds = writeSize(low) + " or more"
	}
	read := func(s string) (int64, error) {
		n, err := readSize(s)
		if err == nil && (n < low || n > high) {
			err = fmt.Errorf("must be %s", bounds)
		}
		return n, err
	}
	k := single(field, def, "bytes, "+bounds, read, writeSize)
	k.show = func(c *Config) string { return strconv.FormatInt(*field(c), 10) }
	return k
}

// sizeUnits are the units of a size; a bare letter counts in thousands.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1e3, "kb": 1 << 10,
	"m": 1e6, "mb": 1 << 20,
	"g": 1e9, "gb": 1 << 30,
}

func readSize(s string) (int64, error) {
	s = strings.ToLower(s)
	digits := strings.TrimRight(s, "kmgb")
	unit, ok := sizeUnits[s[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errNotSize
	}
	return n * unit, nil
}

// writeSize prints a size in the largest unit that divides it.
func writeSize(n int64) string {
	for _, unit := range []string{"gb", "mb", "kb"} {
		if n != 0 && n%sizeUnits[unit] == 0 {
			return strconv.FormatInt(n/sizeUnits[unit], 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// boolean is yes or no.
func boolean(field func(*Config) *bool, def bool) codec {
	return chosen(single(field, def, "", readYesNo, writeYesNo), "yes", "no")
}

// refused is a boolean that this program cannot turn on; why tells the user
// what to do instead.
func refused(field func(*Config) *bool, why string) codec {
	read := func(s string) (bool, error) {
		yes, err := readYesNo(s)
		if yes {
			err = errors.New(why)
		}
		return false, err
	}
	return chosen(single(field, false, "", read, writeYesNo), "no")
}

func readYesNo(s string) (bool, error) {
	if strings.EqualFold(s, "yes") {
		return true, nil
	}
	if strings.EqualFold(s, "no") {
		return false, nil
	}
	return false, errNotYesNo
}

func writeYesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// enum is one of some lower-case words, read in any case.
func enum(field func(*Config) *string, def string, words ...string) codec {
	read := func(s string) (string, error) {
		if s = strings.ToLower(s); !slices.Contains(words, s) {
			return "", fmt.Errorf("must be one of: %s", strings.Join(words, ", "))
		}
		return s, nil
	}
	return chosen(single(field, def, "", read, same), words...)
}

// chosen is a codec of nothing but these words.
func chosen(k codec, words ...string) codec {
	k.words, k.values = words, strings.Join(words, "|")
	return k
}

func same(s string) string { return s }
