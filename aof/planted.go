package aof

// bug is a fault that tests build into the log, to see that they are found.
// Only tests set one, through export_test.go.
type bug uint8

const (
	none             bug = iota
	ackBeforeSync        // says durable without having synced
	unlinkEarly          // Drop removes files before the batch that says so is durable
	skipDirSync          // does not sync the directory entry of a new segment
	ignoreShortWrite     // takes a short write for a whole one
)
