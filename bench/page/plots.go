package page

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/disqo/disqo/bench/compare"
	"github.com/disqo/disqo/bench/load"
)

// drawn is a plot that was made.
type drawn struct{ title, file string }

// Sizes of one tile.
const (
	tileWidth  = 4.2 * vg.Inch
	tileHeight = 3 * vg.Inch
	barWidth   = 24 // points
)

// draw makes the plots of what the reports have. Of each kind the first report
// that has it is drawn.
func draw(dir string, reports []compare.Report) (made []drawn, err error) {
	for _, d := range []struct {
		drawn
		tiles func(r *compare.Report) ([][]*plot.Plot, error)
	}{
		{drawn{"Jobs a second against the size of the body", "throughput.svg"}, throughputTiles},
		{drawn{"Latency at depth 1", "latency.svg"}, latencyTiles},
		{drawn{"Memory of a stored job", "memory.svg"}, memoryTiles},
		{drawn{"Cost as the number of jobs grows", "growth.svg"}, growthTiles},
	} {
		for i := range reports {
			tiles, err := d.tiles(&reports[i])
			if err != nil {
				return made, err
			}
			if len(tiles) == 0 {
				continue
			}
			if err := save(filepath.Join(dir, d.file), tiles); err != nil {
				return made, err
			}
			made = append(made, d.drawn)
			break
		}
	}
	return made, nil
}

// save writes tiles, row by row, to a file. Above the data there is room for the
// legend.
func save(path string, tiles [][]*plot.Plot) error {
	for _, p := range slices.Concat(tiles...) {
		if _, log := p.Y.Scale.(plot.LogScale); log {
			p.Y.Max *= 10
		} else {
			p.Y.Max *= 1.4
		}
	}
	canvas := vgsvg.New(vg.Length(len(tiles[0]))*tileWidth, vg.Length(len(tiles))*tileHeight)
	grid := vgdraw.Tiles{Rows: len(tiles), Cols: len(tiles[0]), PadX: vg.Points(12), PadY: vg.Points(12), PadTop: vg.Points(6), PadBottom: vg.Points(6), PadRight: vg.Points(12)}
	for i, row := range plot.Align(tiles, grid, vgdraw.New(canvas)) {
		for j, c := range row {
			tiles[i][j].Draw(c)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Y.Min = 0
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return p
}

// line adds the line of the i-th system.
func line(p *plot.Plot, i int, name string, points plotter.XYs) error {
	l, s, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	l.Color, l.Dashes, l.Width = plotutil.Color(i), plotutil.Dashes(i), vg.Points(1.5)
	s.Color, s.Shape = plotutil.Color(i), plotutil.Shape(i)
	p.Add(l, s)
	p.Legend.Add(name, l, s)
	return nil
}

// ticks are at values that have names.
func ticks(values []int, name func(v int) string) plot.ConstantTicks {
	var all []plot.Tick
	for _, v := range values {
		all = append(all, plot.Tick{Value: float64(v), Label: name(v)})
	}
	return all
}

// throughputTiles are a row for each depth, a column for each phase.
func throughputTiles(r *compare.Report) (tiles [][]*plot.Plot, err error) {
	var sizes, depths []int
	var phases []string
	for _, t := range r.Throughput {
		if !slices.Contains(sizes, t.Size) {
			sizes = append(sizes, t.Size)
		}
		if !slices.Contains(depths, t.Depth) {
			depths = append(depths, t.Depth)
		}
		if !slices.Contains(phases, t.Phase) {
			phases = append(phases, t.Phase)
		}
	}
	for _, depth := range depths {
		var row []*plot.Plot
		for _, phase := range phases {
			p := newPlot(fmt.Sprintf("%s, depth %d", phase, depth), "bytes of a body", "thousand jobs a second")
			p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks(sizes, func(v int) string { return fmt.Sprint(v) })
			for i, system := range r.Systems {
				var points plotter.XYs
				for _, t := range r.Throughput {
					if t.Depth == depth && t.Phase == phase {
						points = append(points, plotter.XY{X: float64(t.Size), Y: t.Cells[i].Rate.Median / 1000})
					}
				}
				if err := line(p, i, system, points); err != nil {
					return nil, err
				}
			}
			row = append(row, p)
		}
		tiles = append(tiles, row)
	}
	return tiles, nil
}

// latencyTiles are those of the smallest body at depth 1, in "both".
func latencyTiles(r *compare.Report) ([][]*plot.Plot, error) {
	at := slices.IndexFunc(r.Throughput, func(t compare.Throughput) bool { return t.Depth == 1 && t.Phase == "both" })
	if at < 0 {
		return nil, nil
	}
	t := r.Throughput[at]
	names := []string{"p50", "p90", "p99", "p99.9", "max"}
	var row []*plot.Plot
	for _, kind := range []struct {
		name string
		of   func(c compare.Cell) load.Latency
	}{
		{"add", func(c compare.Cell) load.Latency { return c.Add }},
		{"fetch", func(c compare.Cell) load.Latency { return c.Fetch }},
		{"acknowledge", func(c compare.Cell) load.Latency { return c.Ack }},
	} {
		p := newPlot(fmt.Sprintf("%s, %d bytes, both", kind.name, t.Size), "", "microseconds")
		p.Y.Scale, p.Y.Tick.Marker, p.Y.Min = plot.LogScale{}, plot.LogTicks{Prec: -1}, 10
		p.Legend.Left = true
		p.X.Tick.Marker = ticks([]int{0, 1, 2, 3, 4}, func(v int) string { return names[v] })
		for i, system := range r.Systems {
			l := kind.of(t.Cells[i])
			var points plotter.XYs
			for x, y := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
				points = append(points, plotter.XY{X: float64(x), Y: max(y, 1)})
			}
			if err := line(p, i, system, points); err != nil {
				return nil, err
			}
		}
		row = append(row, p)
	}
	return [][]*plot.Plot{row}, nil
}

func memoryTiles(r *compare.Report) ([][]*plot.Plot, error) {
	if len(r.Memory) == 0 {
		return nil, nil
	}
	p := newPlot(fmt.Sprintf("%d jobs of 128 bytes", r.Memory[0].Jobs), "", "resident bytes a job")
	var names []string
	for i, m := range r.Memory {
		bar, err := plotter.NewBarChart(plotter.Values{m.Bytes.Median}, vg.Points(barWidth))
		if err != nil {
			return nil, err
		}
		bar.XMin, bar.Color = float64(i), plotutil.Color(i)
		p.Add(bar)
		names = append(names, m.System)
	}
	p.NominalX(names...)
	return [][]*plot.Plot{{p}}, nil
}

// growthTiles are what a job costs and how soon it is fetched, by how many there
// are.
func growthTiles(r *compare.Report) ([][]*plot.Plot, error) {
	if len(r.Growth) == 0 {
		return nil, nil
	}
	var stored []int
	for _, g := range r.Growth {
		if !slices.Contains(stored, g.Stored) {
			stored = append(stored, g.Stored)
		}
	}
	var row []*plot.Plot
	for _, kind := range []struct {
		title, y string
		of       func(g compare.Growth) float64
	}{
		{"produce, depth 16", "thousand jobs a second", func(g compare.Growth) float64 { return g.Produce / 1000 }},
		{"both, depth 1", "server CPU, s a million jobs", func(g compare.Growth) float64 { return g.Server }},
		{"fetch, depth 1", "p99, microseconds", func(g compare.Growth) float64 { return g.Fetch.P99 }},
	} {
		p := newPlot(kind.title, "jobs there", kind.y)
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks(stored, func(v int) string { return count(v) })
		for i, system := range r.Systems {
			var points plotter.XYs
			for _, g := range r.Growth {
				if g.System == system {
					points = append(points, plotter.XY{X: float64(g.Stored), Y: kind.of(g)})
				}
			}
			if err := line(p, i, system, points); err != nil {
				return nil, err
			}
		}
		row = append(row, p)
	}
	return [][]*plot.Plot{row}, nil
}

// count is a round number in words: 10 k, 1 M.
func count(v int) string {
	switch {
	case v >= 1_000_000:
		return fmt.Sprintf("%g M", float64(v)/1e6)
	case v >= 1000:
		return fmt.Sprintf("%g k", float64(v)/1e3)
	}
	return fmt.Sprint(v)
}
