package main

import (
	"encoding/json"
	"io"

	"github.com/disqo/disqo/aof"
)

// reportLine is the last line of --json.
type reportLine struct {
	State    string         `json:"state"`
	Exit     int            `json:"exit"`
	Why      string         `json:"why,omitempty"`
	Note     string         `json:"note,omitempty"`
	Dir      string         `json:"dir"`
	Epoch    uint64         `json:"epoch"`
	Segments []segmentLine  `json:"segments"`
	Stale    []string       `json:"stale"`
	Batches  int            `json:"batches"`
	Records  int            `json:"records"`
	Bytes    int64          `json:"bytes"`
	Always   bool           `json:"always"` // the last batch was written under appendfsync always
	Kinds    map[string]int `json:"kinds"`
	Unread   int            `json:"unreadable"`
	Load     sums           `json:"load"`
	Repair   *repairLine    `json:"repair,omitempty"`
}

// segmentLine is a segment that was read. Created is in milliseconds.
type segmentLine struct {
	Number  uint32 `json:"number"`
	Name    string `json:"file"`
	Epoch   uint64 `json:"epoch"`
	Created int64  `json:"created"`
	Size    int64  `json:"size"`
	Used    int64  `json:"used"`
	Batches int    `json:"batches"`
	Records int    `json:"records"`
	Spare   bool   `json:"spare"`
	Flags   string `json:"flags"`
}

// repairLine is what a repair would keep and lose.
type repairLine struct {
	Torn    bool         `json:"torn"`
	Partial bool         `json:"partial"`
	Off     bool         `json:"off"`
	Batches int          `json:"batches"`
	Records int          `json:"records"`
	Bytes   int64        `json:"bytes"`
	Damaged []regionLine `json:"damaged"`
	Missing []string     `json:"missing"`
	Lost    uint64       `json:"lostBatches"`
}

type regionLine struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Why    string `json:"why"`
}

// writeJSON writes the report as {"report":{...}}.
func (c *checked) writeJSON(out io.Writer) error {
	r := c.report
	line := reportLine{
		State: c.state, Exit: c.code, Why: c.why, Note: c.note, Dir: c.dir, Epoch: r.Epoch, Segments: []segmentLine{},
		Stale: append([]string{}, r.Stale...), Batches: r.Batches, Records: r.Records, Bytes: r.Bytes, Always: r.Always,
		Kinds: c.kinds, Unread: c.unread, Load: c.jobs.sums(), Repair: newRepair(c.salvage),
	}
	for _, s := range r.Segments {
		line.Segments = append(line.Segments, segmentLine{
			s.Number, s.Name, s.Epoch, s.Created, s.Size, s.Used, s.Batches, s.Records, s.Spare, c.flags[s.Number].String(),
		})
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]reportLine{"report": line})
}

func newRepair(s *aof.Salvage) *repairLine {
	if s == nil {
		return nil
	}
	line := &repairLine{
		Torn: s.Torn, Partial: s.Partial, Off: s.Off, Batches: s.Batches, Records: s.Records, Bytes: s.Bytes,
		Damaged: []regionLine{}, Missing: append([]string{}, s.Missing...), Lost: s.Lost,
	}
	for _, d := range s.Damaged {
		line.Damaged = append(line.Damaged, regionLine(d))
	}
	return line
}
