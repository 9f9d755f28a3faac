package resp

import "fmt"

// ProtocolError says that the stream can no longer be understood or trusted. The caller answers "-ERR " + Error() and
// closes the connection.
type ProtocolError struct{ text string }

// Error returns one line of printable text that echoes at most one byte of input.
func (e *ProtocolError) Error() string { return e.text }

// TooLargeError says that a well-formed command was skipped because of its size. The caller answers "-ERR " + Error()
// and the connection goes on with the next command.
type TooLargeError struct {
	Size  int64 // bytes: of the first oversized argument, or of the whole command
	Limit int64 // bytes: Limits.MaxBulk, or Limits.MaxCommand
	Whole bool  // the command as a whole was too long, not one of its arguments
}

// Error names the size, the limit and, for an argument, the directive that sets it.
func (e *TooLargeError) Error() string {
	if e.Whole {
		return fmt.Sprintf("command of %d bytes exceeds the limit of %d", e.Size, e.Limit)
	}
	return fmt.Sprintf("job of %d bytes exceeds max-job-size %d", e.Size, e.Limit)
}

// Disque's texts, except errCRLF (Disque does not look), the unauthenticated ones (Redis') and errCodec.
var (
	errInline      = &ProtocolError{"Protocol error: too big inline request"}
	errQuotes      = &ProtocolError{"Protocol error: unbalanced quotes in request"}
	errCount       = &ProtocolError{"Protocol error: invalid multibulk length"}
	errCountLine   = &ProtocolError{"Protocol error: too big mbulk count string"}
	errBulk        = &ProtocolError{"Protocol error: invalid bulk length"}
	errBulkLine    = &ProtocolError{"Protocol error: too big bulk count string"}
	errCRLF        = &ProtocolError{"Protocol error: expected CRLF after bulk"}
	errUnauthCount = &ProtocolError{"Protocol error: unauthenticated multibulk length"}
	errUnauthBulk  = &ProtocolError{"Protocol error: unauthenticated bulk length"}

	// errCodec: redcon read a validated frame differently than we did. It takes a bug to get here; guessing which
	// of the two is right would be worse than closing.
	errCodec = &ProtocolError{"Protocol error: malformed command"}
)

func errTooManyArgs(n int64, limit int) error {
	return &ProtocolError{fmt.Sprintf("Protocol error: too many arguments (%d), the limit is %d (max-arguments)", n, limit)}
}

// errNotBulk shows a byte that no terminal can be confused by.
func errNotBulk(got byte) error {
	shown := fmt.Sprintf("%c", got)
	if !printable(got) {
		shown = fmt.Sprintf(`\x%02x`, got)
	}
	return &ProtocolError{"Protocol error: expected '$', got '" + shown + "'"}
}
