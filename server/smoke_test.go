package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

func TestJobLife(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("mail", "hello")
	require.Equal(t, "*1\r\n*3\r\n$4\r\nmail\r\n$40\r\n"+id+"\r\n$5\r\nhello\r\n", c.Do("GETJOB", "FROM", "mail"))
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
	require.Equal(t, "$-1\r\n", c.Do("SHOW", id))
}

func TestProcessLife(t *testing.T) {
	t.Parallel()
	p := servertest.Exec(t)
	c := p.Dial(t)
	c.Job("q", "x")
	require.Equal(t, 0, p.Terminate(t))
	c.Closed()
}
