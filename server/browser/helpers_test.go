package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// patience is how long the page may take to show what it should.
const patience = time.Minute

// tab is a page in a browser of its own, which must not complain about anything.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	allowed []string // parts of what the console may complain about
}

// allow says what the console may complain about.
func (b *tab) allow(parts ...string) { b.allowed = append(b.allowed, parts...) }

// open starts a browser and shows the dashboard of a broker. Credentials are
// user:password@, or nothing.
func open(t *testing.T, c *servertest.Client, credentials string, dark bool) *tab {
	t.Helper()
	program := servertest.Need(t, "chromium", "chromium-browser", "google-chrome")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("hide-scrollbars", true))
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, leave := chromedp.NewContext(allocated)
	b := &tab{t: t, ctx: ctx, base: "http://127.0.0.1:" + c.Info("server", "http_port")}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank"))) // the browser lives as long as this context
	var complaints []string
	var listener sync.WaitGroup
	console := chromedp.Console(ctx)
	listener.Go(func() {
		for m, err := range console {
			if err == nil && (m.IsException() || m.Type == "error" || m.Type == "warning" || m.Type == "assert") {
				complaints = append(complaints, m.Text+" "+m.URL)
			}
		}
	})
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // ends the browser, and waits for it
		leave()
		stop()
		listener.Wait()
		complaints = slices.DeleteFunc(complaints, func(text string) bool {
			return slices.ContainsFunc(b.allowed, func(part string) bool { return strings.Contains(text, part) })
		})
		require.Empty(t, complaints, "the console has errors")
	})
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
	b.size(1280, 800, false)
	b.do(chromedp.Navigate(strings.Replace(b.base, "://", "://"+credentials, 1) + "/"))
	b.see("live")
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// ask returns the value of an expression of JavaScript.
func (b *tab) ask(expression string) any {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[any](expression))
	require.NoError(b.t, err, "%s", expression)
	return v
}

// until waits for an expression to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	servertest.Until(b.t, expression, patience, func() bool { return b.ask(expression) == true })
}

// see waits for a text to be on the page.
func (b *tab) see(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.until(fmt.Sprintf("document.body.innerText.includes(%s)", quoted))
}

// tile waits for a figure.
func (b *tab) tile(name, value string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector('.tile.%s dd').innerText === %q", name, value))
}

// press clicks the button or link with that text, in the topmost dialog if there is one.
func (b *tab) press(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.until(fmt.Sprintf(`(() => {
		const top = document.querySelector('dialog[open]') ?? document
		const el = [...top.querySelectorAll('button, a, summary, label')].find((e) => e.textContent.trim() === %s && e.checkVisibility())
		el?.click()
		return el !== undefined
	})()`, quoted))
}

// size makes the window so large, and a phone of it.
func (b *tab) size(width, height int64, phone bool) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height, func(m *emulation.SetDeviceMetricsOverrideParams, touch *emulation.SetTouchEmulationEnabledParams) {
		m.DeviceScaleFactor, m.Mobile, touch.Enabled = 1, phone, phone
		if phone {
			m.DeviceScaleFactor = 2
		}
	}))
}

// visit goes to a view by its URL.
func (b *tab) visit(hash string) {
	b.t.Helper()
	quoted, _ := json.Marshal(hash)
	b.ask(fmt.Sprintf("location.hash = %s", quoted))
}

// jobView is where a job is shown.
func jobView(id string) string { return "#/job/" + url.PathEscape(id) }

// nameless returns the controls of the page that a screen reader has no name for.
func (b *tab) nameless() (list []string) {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(b.t, err)
	controls := 0
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		switch role := strings.Trim(string(n.Role.Value), `"`); role {
		case "button", "link", "textbox", "searchbox", "radio", "tab", "spinbutton", "image", "img", "meter", "dialog", "table":
			controls++
			if n.Name == nil || strings.Trim(string(n.Name.Value), `"`) == "" {
				list = append(list, fmt.Sprintf("%s %d", role, n.BackendDOMNodeID))
			}
		}
	}
	require.Greater(b.t, controls, 5)
	return list
}

// picture writes what is seen to a PNG file.
func (b *tab) picture(file string) {
	b.t.Helper()
	shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(b.t, os.WriteFile(file, shot.Data, 0o644))
}
