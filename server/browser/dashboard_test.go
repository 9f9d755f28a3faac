package browser

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// A job is added from the page, and the count moves without a reload; a queue is
// paused; a dead job is kicked, a live one buried and deleted.
func TestUse(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0").Dial(t)
	b := open(t, c, "", false)
	b.see("There is no queue.")
	b.ask("window.same = true") // until the page is loaded anew

	c.Job("mail", "from redis-cli", "REPLICATE", "1")
	b.tile("queued", "1")
	b.see("backlog, no consumer")
	b.press("mail")
	b.see("from redis-cli")
	b.press("Add a job")
	b.do(chromedp.SendKeys("#add-body", "a draft"))
	b.press("Dead")
	b.until("location.hash === '#/queue/mail/dead' && document.getElementById('add-body').value === 'a draft'")
	b.press("Next")
	b.until("location.hash === '#/queue/mail'")
	b.ask("document.getElementById('add-body').value = ''")
	b.do(chromedp.SendKeys("#add-body", `{"to":"<b>you</b>"}`), chromedp.SendKeys("#add-priority", "7"), chromedp.SendKeys("#add-maxtries", "3"))
	b.press("Add the job")
	b.tile("queued", "2")
	require.Equal(t, ":2\r\n", c.Do("QLEN", "mail"))
	b.see(`{"to":"<b>you</b>"}`)

	b.press("Pause")
	b.see("Paused: all.")
	require.Equal(t, "+all\r\n", c.Do("PAUSE", "mail", "state"))
	b.see("paused")
	b.press("Resume")
	b.see("Resumed.")
	require.Equal(t, "+none\r\n", c.Do("PAUSE", "mail", "state"))

	got := servertest.Decode(t, c.Do("GETJOB", "FROM", "mail")).([]any)[0].([]any)
	id := got[1].(string)
	require.Equal(t, `{"to":"<b>you</b>"}`, got[2], "it has the better priority")
	require.Equal(t, ":1\r\n", c.Do("BURY", id, "REASON", "no such user"))
	b.tile("dead", "1")
	b.press("Dead 1")
	b.see("no such user")
	b.do(chromedp.Click(`#jobs td.first a`))
	b.see("no such user")
	b.see(`"to": "<b>you</b>"`)
	b.press("Hex")
	b.see("00000000  7b 22 74 6f 22 3a 22 3c")
	b.press("Kick")
	b.see("Queued again.")
	b.see("now in its queue")
	require.Contains(t, c.Do("SHOW", id), "\r\nqueued\r\n")

	b.press("Promote…")
	b.do(chromedp.SetValue("#ask-priority", "3"))
	b.press("Promote")
	b.see("Promoted.")
	require.Contains(t, c.Do("SHOW", id, "FULL"), "priority\r\n:3\r\n")
	b.press("Bury…")
	b.do(chromedp.SendKeys("#ask-reason", "again"))
	b.press("Bury")
	b.see("dead: again")
	b.press("Delete…")
	b.press("Cancel")
	require.NotEqual(t, "$-1\r\n", c.Do("SHOW", id), "nothing was deleted")
	b.press("Delete…")
	b.press("Delete")
	b.see("Deleted.")
	b.see("from redis-cli")
	require.NotContains(t, c.Do("JSCAN", "QUEUE", "mail", "STATE", "dead"), id)

	// JSON is shown as it was written; what somebody else did is not said to be done.
	odd := c.Job("mail", `{"id":12345678901234567890,"a":1.0,"a":[ ],"t":"x, \"{y}"}`, "REPLICATE", "1")
	require.Equal(t, ":1\r\n", c.Do("BURY", odd, "REASON", strings.Repeat("long", 128)))
	b.visit(jobView(odd))
	b.see("{\n  \"id\": 12345678901234567890,\n  \"a\": 1.0,\n  \"a\": [],\n  \"t\": \"x, \\\"{y}\"\n}")
	require.LessOrEqual(t, b.ask("document.documentElement.scrollWidth"), 1280.0)
	require.Equal(t, ":1\r\n", c.Do("KICKJOB", odd))
	b.ask(`[...document.querySelectorAll("button")].find((e) => e.textContent === "Kick")?.click()`) // it may be gone by now
	b.until(`document.body.innerText.includes("Nothing was done") || [...document.querySelectorAll("button")].every((e) => e.textContent !== "Kick")`)
	b.visit("#/constructor")
	b.see("Nodes")
	b.visit("#/queue/mail")

	b.press("Purge…")
	b.press("Purge")
	b.tile("queued", "0")
	b.see("No job is queued.")
	require.Equal(t, true, b.ask("window.same === true"), "it was never loaded anew")
}

// What jobs and queues are called does nothing but be shown.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0").Dial(t)
	const evil = `<img src=x onerror="window.evil=1"><script>window.evil=1</script>`
	queues := []string{evil, `a/b?c#d%2F`, "naïve queue", `"'&`, "\xff\x00\n", strings.Repeat("long", 100), "a:pause"}
	for _, q := range queues {
		id := c.Job(q, evil+q, "REPLICATE", "1")
		require.Equal(t, ":1\r\n", c.Do("BURY", id, "REASON", evil))
		c.Job(q, evil, "REPLICATE", "1")
	}
	b := open(t, c, "", true)
	b.until("document.querySelectorAll('tbody a').length === 7")
	for i := range queues {
		b.visit("#/")
		b.until("document.querySelectorAll('tbody a').length === 7")
		b.ask(fmt.Sprintf("[...document.querySelectorAll('tbody a')][%d].click()", i))
		b.tile("dead", "1")
		b.until("document.querySelectorAll('#jobs tbody tr').length === 1")
		b.press("Dead 1")
		b.see(evil)
		b.press("Pause in")
		b.see("Paused: in.")
	}
	for _, q := range queues {
		servertest.Until(t, "it is paused", patience, func() bool { return c.Do("PAUSE", q, "state") == "+in\r\n" })
	}
	require.Nil(t, b.ask("window.evil ?? null"))
	require.EqualValues(t, 0, b.ask("document.querySelectorAll('main img, main script').length"))
}

// What is shown stays true when a page is loaded anew, of a queue in which nothing
// happens, and of one that only has delayed jobs.
func TestStill(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0").Dial(t)
	for range 3 {
		c.Job("still", "x", "REPLICATE", "1")
	}
	c.Job("night", "later", "REPLICATE", "1", "DELAY", "3600")
	b := open(t, c, "", false)
	b.press("night")
	b.tile("delayed", "1")
	b.see("No job is queued.")
	for _, tab := range []string{"#/queue/still", "#/queue/still/queued"} {
		b.visit(tab)
		b.until("document.querySelectorAll('#jobs tbody tr').length === 3")
		b.do(chromedp.Reload())
		b.until("document.querySelectorAll('#jobs tbody tr').length === 3")
	}
	age := b.ask("document.querySelector('#jobs [data-label=Age]').textContent")
	b.until(fmt.Sprintf("document.querySelector('#jobs [data-label=Age]').textContent !== %q", age))
	b.visit("#/queue/night/delayed")
	b.see("later")
	b.visit("#/queue/none")
	b.tile("queued", "0")
	b.see("No job is queued.")
}

// In a cluster a queue is paused on all nodes.
func TestAllNodes(t *testing.T) {
	t.Parallel()
	nodes := servertest.Cluster(t, 2, "--http-port", "0")
	c, other := nodes[0].Dial(t), nodes[1].Dial(t)
	c.Job("mail", "x")
	b := open(t, c, "", false)
	b.press("mail")
	b.press("Pause")
	b.see("Paused: all on all 2 nodes.")
	servertest.Until(t, "the other node hears of it", patience, func() bool { return other.Do("PAUSE", "mail", "state") == "+all\r\n" })
	b.press("Resume")
	servertest.Until(t, "the other node hears of it", patience, func() bool { return other.Do("PAUSE", "mail", "state") == "+none\r\n" })
	b.press("Purge…")
	b.see("All its jobs on all 2 nodes")
	b.press("Purge")
	b.tile("queued", "0")
	nodes[1].Stop(t)
	b.visit("#/")
	b.until("/unlinked|suspect|failed/.test(document.body.innerText)")
	nodes[0].Stop(t)
	b.see("No connection since")
	b.allow("net::ERR_EMPTY_RESPONSE", "net::ERR_CONNECTION_RESET", "net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING")
}

// Without a mouse everything can be reached, and a screen reader has a name for it.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0").Dial(t)
	id := c.Job("mail", `{"a":1}`, "REPLICATE", "1")
	require.Equal(t, ":1\r\n", c.Do("BURY", id))
	b := open(t, c, "", false)
	b.until("document.querySelectorAll('tbody a').length === 1")
	b.do(chromedp.KeyEvent(kb.Tab))
	require.Equal(t, "skip", b.ask("document.activeElement.id"))
	b.do(chromedp.KeyEvent(kb.Enter))
	require.Equal(t, "main", b.ask("document.activeElement.id"))
	for range 40 {
		if b.ask("document.activeElement.textContent") == "mail" {
			break
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until("location.hash === '#/queue/mail'")
	b.do(chromedp.Focus("[role=tab][aria-selected=true]"), chromedp.KeyEvent(kb.ArrowLeft))
	b.until("location.hash === '#/queue/mail/acked'")
	b.until("document.activeElement.id === 'tab-acked'")
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.until("location.hash === '#/queue/mail/wait-repl'")
	b.do(chromedp.SendKeys("#goto", id+kb.Enter))
	b.see("Timeline")
	b.press("Delete…")
	b.until("document.querySelector('dialog').contains(document.activeElement)")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.until("document.querySelector('dialog') === null")
	require.NotEqual(t, "$-1\r\n", c.Do("SHOW", id))
	for _, view := range []string{"#/", "#/queue/mail", "#/queue/mail/dead", jobView(id), "#/clients", "#/slowlog", "#/aof", "#/config"} {
		b.visit(view)
		b.until("document.querySelector('main h1') !== null")
		require.Empty(t, b.nameless(), view)
		require.EqualValues(t, 1, b.ask("document.querySelectorAll('h1').length"), view)
	}
}

// The page says what is on, and has no buttons where it may not change anything.
func TestOnlyLooking(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0", "--dashboard", "ro", "--appendonly", "yes").Dial(t)
	id := c.Job("mail", "x", "REPLICATE", "1")
	b := open(t, c, "", false)
	const buttons = "[...document.querySelectorAll('main button, main summary')].filter((e) => e.checkVisibility() && !e.classList.contains('sort')).length"
	b.visit("#/queue/mail")
	b.tile("queued", "1")
	require.EqualValues(t, 0, b.ask(buttons))
	b.visit(jobView(id))
	b.see("now in its queue")
	require.EqualValues(t, 0, b.ask(buttons))
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "dashboard", "yes"))
	b.until(buttons + " > 2")

	b.visit("#/clients")
	b.see("127.0.0.1:")
	b.visit("#/aof")
	b.tile("state", "on")
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "slowlog-log-slower-than", "0"))
	c.Do("QLEN", "seen in the slow log")
	b.visit("#/slowlog")
	b.see("QLEN seen in the slow log")
	b.visit("#/config")
	b.see("slowlog-log-slower-than")

	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "dashboard", "no"))
	res, err := http.Get(b.base + "/")
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 404, res.StatusCode)
	require.Equal(t, "there is no dashboard: it is off by configuration\n", string(text))
}

// A browser that knows the password sees everything.
func TestPassword(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--http-port", "0").Dial(t)
	c.Job("mail", "x", "REPLICATE", "1")
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "requirepass", "s3cret"))
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "s3cret"))
	b := open(t, c, "any:s3cret@", false)
	b.tile("queued", "1")
	b.visit("#/queue/mail")
	b.press("Pause")
	b.see("Paused: all.")
	b.visit("#/config")
	b.see("(hidden)")
	require.NotContains(t, b.ask("document.body.innerText"), "s3cret")
}
