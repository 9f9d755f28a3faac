package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bus is where a node's bus is.
func busOf(n *testNode) string {
	return netip.AddrPortFrom(loopback(1), uint16(n.BusPort())).String()
}

// talk dials a link from a node to another and reports whether what is written on one
// side comes out on the other.
func talk(t *testing.T, a, b *testNode) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	nc, err := a.Dial(ctx, b.id())
	if err != nil {
		return false
	}
	defer nc.Close()
	const text = "Dear job"
	if _, err := io.WriteString(nc, text); err != nil {
		return false
	}
	select {
	case other := <-b.links:
		defer other.Close()
		got := make([]byte, len(text))
		_, err := io.ReadFull(other, got)
		return err == nil && string(got) == text
	case <-time.After(2 * time.Second):
		return false
	}
}

func secret(s, also string) func(*Options) {
	return func(o *Options) { o.Secret, o.AlsoSecret = s, also }
}

// What keeps strangers out is made of the secret alone, the same on all nodes.
func TestArmour(t *testing.T) {
	t.Parallel()
	a, err := forge("s3cret", "")
	require.NoError(t, err)
	b, err := forge("s3cret", "")
	require.NoError(t, err)
	require.Equal(t, a.keys, b.keys)
	require.Len(t, a.keys[0], 32)
	require.NotEqual(t, a.links.Certificates[0].Certificate, b.links.Certificates[0].Certificate, "each node has its own")
	both, err := forge("s3cret", "other")
	require.NoError(t, err)
	require.Len(t, both.keys, 2)
	require.Equal(t, a.keys[0], both.keys[0])
	same, err := forge("s3cret", "s3cret")
	require.NoError(t, err)
	require.Len(t, same.keys, 1)
	none, err := forge("", "other")
	require.NoError(t, err)
	require.Nil(t, none.links)
	for _, text := range []string{"s3cret", string(a.keys[0])} {
		require.NotContains(t, string(a.links.Certificates[0].Certificate[0]), text)
	}
}

// Who has not the secret can open no link to a node, and is not talked to by one.
func TestLinksOfStrangers(t *testing.T) {
	t.Parallel()
	a := startNode(t, secret("s3cret", ""))
	guess, err := forge("guess", "")
	require.NoError(t, err)
	ours, err := forge("s3cret", "")
	require.NoError(t, err)
	self, _ := forge("mallory", "")
	noCert := ours.links.Clone()
	noCert.Certificates = nil
	old := ours.links.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, config := range map[string]*tls.Config{
		"another secret": guess.links, "no certificate": noCert, "an old TLS": old,
		"another's certificate with our name": {InsecureSkipVerify: true, Certificates: self.links.Certificates},
	} {
		nc, err := tls.Dial("tcp", busOf(a), config)
		if err == nil {
			_, err = nc.Read(make([]byte, 1))
		}
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "timeout", name)
	}
	plain, err := net.Dial("tcp", busOf(a))
	require.NoError(t, err)
	defer plain.Close()
	_, err = io.WriteString(plain, "Dear job")
	require.NoError(t, err)
	require.NoError(t, plain.SetReadDeadline(time.Now().Add(5*time.Second)))
	said, _ := io.ReadAll(plain) // it is closed, by whatever means
	require.Empty(t, said)
	eventually(t, "they are counted", func() bool { return a.Refused() >= 4 })
	require.Empty(t, a.links, "no link was made of any")
	require.Equal(t, 1, a.log.count("another cluster-secret tried"), "it is said once a minute")
	eventually(t, "it is said", func() bool { return a.log.count("without the cluster-secret tried") == 1 })

	nc, err := tls.Dial("tcp", busOf(a), ours.links)
	require.NoError(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, "D")
	require.NoError(t, err)
	link := <-a.links
	defer link.Close()
	first := make([]byte, 1)
	_, err = io.ReadFull(link, first)
	require.NoError(t, err)
	require.Equal(t, "D", string(first), "who has the secret is let in")
}

// A node that was dialled and has not the secret learns nothing.
func TestImpostor(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, secret("s3cret", "")), startNode(t, secret("s3cret", ""))
	mesh(t, []*testNode{a, b})
	require.True(t, talk(t, a, b))
	at := busOf(b)
	b.stop()
	l, err := net.Listen("tcp", at)
	require.NoError(t, err)
	defer l.Close()
	guess, err := forge("guess", "")
	require.NoError(t, err)
	heard := make(chan string, 100)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
				first := make([]byte, 1)
				if _, err := io.ReadFull(nc, first); err != nil || first[0] != byteTLS {
					return // gossip
				}
				text, _ := io.ReadAll(tls.Server(&replay{Conn: nc, first: first}, guess.links))
				heard <- string(text)
			}()
		}
	}()
	require.False(t, talk(t, a, b))
	select {
	case text := <-heard:
		require.Empty(t, text)
	case <-time.After(10 * time.Second):
		t.Fatal("the node did not dial")
	}
}

// The secret is changed on one node after the other, and no two of them lose sight of
// each other.
func TestRotation(t *testing.T) {
	t.Parallel()
	nodes := []*testNode{startNode(t, secret("one", "")), startNode(t, secret("one", "")), startNode(t, secret("one", ""))}
	mesh(t, nodes)
	all := func() {
		t.Helper()
		for _, a := range nodes {
			for _, b := range nodes {
				if a != b {
					require.True(t, talk(t, a, b))
				}
			}
		}
		require.True(t, meshed(nodes))
	}
	for _, step := range [][2]string{{"one", "two"}, {"two", "one"}, {"two", ""}} {
		for _, n := range nodes {
			require.NoError(t, n.SetSecrets(step[0], step[1]))
			all()
		}
	}
	for _, n := range nodes {
		require.Zero(t, n.Refused())
	}
	late := startNode(t, secret("one", ""))
	late.meet(nodes[0])
	eventually(t, "the old secret opens nothing", func() bool { return nodes[0].Refused() > 0 })
	eventually(t, "it gives up", func() bool { return len(late.Members()) == 1 })
	require.ErrorIs(t, nodes[0].SetSecrets("", ""), ErrSecret)
	require.ErrorIs(t, startNode(t, nil).SetSecrets("one", ""), ErrSecret)
	again := startNode(t, secret("two", ""))
	again.meet(nodes[0])
	eventually(t, "the new one does", func() bool { return meshed(append(nodes, again)) })
}

// Who knows a secret that counts no more is not listened to on the links that it had.
func TestLinksOfAnOldSecretEnd(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, secret("one", "")), startNode(t, secret("one", ""))
	mesh(t, []*testNode{a, b})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	link := func(from, to *testNode) (near, far net.Conn) {
		near, err := from.Dial(ctx, to.id())
		require.NoError(t, err)
		_, err = io.WriteString(near, "D")
		require.NoError(t, err)
		far = <-to.links
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		return near, far
	}
	out, _ := link(a, b)
	_, in := link(b, a)
	open := func(nc net.Conn) bool {
		_ = nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := io.ReadAll(nc)
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	require.NoError(t, a.SetSecrets("one", "two"))
	require.NoError(t, b.SetSecrets("one", "two"))
	require.NoError(t, a.SetSecrets("two", "one"))
	require.True(t, open(out) && open(in), "both secrets count")
	require.NoError(t, a.SetSecrets("two", ""))
	require.False(t, open(out) || open(in))
	require.NoError(t, b.SetSecrets("two", "one"))
	eventually(t, "there can be others", func() bool { return talk(t, a, b) && talk(t, b, a) })
	a.sealedMu.Lock()
	defer a.sealedMu.Unlock()
	require.Empty(t, a.sealed, "what is closed is forgotten")
}

// Nodes may have certificates of their own in the place of those made of the secret.
func TestOwnCertificates(t *testing.T) {
	t.Parallel()
	own := func(seed string) func(*Options) {
		return func(o *Options) {
			a, err := forge(seed, "")
			require.NoError(t, err)
			o.Secret, o.Links = "s3cret", func() *tls.Config { return a.links }
		}
	}
	a, b, c := startNode(t, own("a CA")), startNode(t, own("a CA")), startNode(t, own("another CA"))
	mesh(t, []*testNode{a, b, c})
	require.True(t, talk(t, a, b))
	require.False(t, talk(t, a, c))
	require.False(t, talk(t, c, a))
}

// What LinkTLS believes is what an authority signed, and nothing else.
func TestLinkTLSJudges(t *testing.T) {
	t.Parallel()
	a, err := forge("a", "")
	require.NoError(t, err)
	err = a.links.VerifyConnection(tls.ConnectionState{})
	require.ErrorContains(t, err, "no certificate")
	leaf, err := x509.ParseCertificate(a.links.Certificates[0].Certificate[0])
	require.NoError(t, err)
	require.NoError(t, a.links.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}))
	b, err := forge("b", "")
	require.NoError(t, err)
	require.Error(t, b.links.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}))
}
