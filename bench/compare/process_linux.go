package compare

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticks are what the kernel counts processor time in: 100 a second on every
// architecture of today.
const ticks = 100

// processCPU is the processor time of a process, 0 if it is gone.
func processCPU(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// After the name, which may hold anything, in brackets: utime and stime are
	// the 12th and 13th.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	sum := 0
	for _, f := range fields[11:13] {
		n, _ := strconv.Atoi(string(f))
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks
}

// processMemory is the resident memory of a process in bytes, 0 if it is gone.
func processMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(string(bytes.Fields(text)[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
