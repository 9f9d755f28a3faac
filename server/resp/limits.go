package resp

// The protocol's own bounds. No configuration goes beyond them; Disque's networking.c and server.h have the same.
const (
	// ProtoMaxBulk is the longest bulk that may be declared, in bytes. More is an attack or a lost stream.
	ProtoMaxBulk = 512 << 20
	// ProtoMaxArgs is the highest argument count that may be declared.
	ProtoMaxArgs = 1 << 20
	// ProtoMaxHeader is the longest "*N" or "$N" line in bytes. A valid one has 20 at most, but a line that
	// ends earlier than this deserves the more telling error.
	ProtoMaxHeader = 64 << 10
)

// Limits bound what one connection may send. Every field must be positive; sizes are in bytes. They are read anew by
// each [Decoder.Next], at the header they concern, so they may change between two commands (AUTH, CONFIG SET).
type Limits struct {
	// MaxArgs is the most arguments of one command, its name included. More closes the connection.
	MaxArgs int
	// MaxBulk is the longest argument. A command with a longer one is skipped and the connection stays.
	MaxBulk int64
	// MaxInline is the longest inline command, its LF excluded. A longer one closes the connection.
	MaxInline int
	// MaxCommand is the longest multibulk command, headers included. A longer one is skipped and the connection
	// stays. It is what bounds the buffer, so it should leave room for MaxBulk and for MaxArgs job IDs.
	MaxCommand int64

	// Unauthenticated is true while a password is required and was not yet given: strangers get little memory.
	Unauthenticated bool
	// UnauthArgs is the most arguments of one command before AUTH. More closes the connection.
	UnauthArgs int
	// UnauthBulk is the longest argument before AUTH. A longer one closes the connection.
	UnauthBulk int64
}

// DefaultLimits returns the limits of an authenticated connection to a server that configures nothing.
func DefaultLimits() Limits {
	return Limits{
		MaxArgs:    65536,
		MaxBulk:    4 << 20,
		MaxInline:  64 << 10,
		MaxCommand: 5 << 20, // a job of MaxBulk and its options, or 65,536 IDs (3.1 MB)
		UnauthArgs: 10,
		UnauthBulk: 16 << 10,
	}
}

// checkCount judges the declared (multibulk) or found (inline) number of arguments.
func (l *Limits) checkCount(n int64) error {
	switch {
	case n > ProtoMaxArgs:
		return errCount
	case l.Unauthenticated && n > int64(l.UnauthArgs):
		return errUnauthCount
	case n > int64(l.MaxArgs):
		return errTooManyArgs(n, l.MaxArgs)
	}
	return nil
}

// checkBulk judges the declared length of an argument, as far as it is fatal.
func (l *Limits) checkBulk(n int64) error {
	switch {
	case n < 0 || n > ProtoMaxBulk:
		return errBulk
	case l.Unauthenticated && n > l.UnauthBulk:
		return errUnauthBulk
	}
	return nil
}

// oversized says whether an argument of n bytes, in a command that has total bytes up to its end, makes the command
// too large to keep; nil if not.
func (l *Limits) oversized(n, total int64) *TooLargeError {
	switch {
	case n > l.MaxBulk:
		return &TooLargeError{Size: n, Limit: l.MaxBulk}
	case total > l.MaxCommand:
		return &TooLargeError{Size: total, Limit: l.MaxCommand, Whole: true}
	}
	return nil
}
