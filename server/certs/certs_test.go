package certs_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/certs"
	"github.com/disqo/disqo/server/servertest"
)

// name returns whose certificate a configuration has.
func name(t *testing.T, c *tls.Config) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	require.NoError(t, err)
	return leaf.Subject.CommonName + leaf.SerialNumber.String()
}

func TestReload(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("one")
	s, err := certs.Open(certs.Files{Cert: cert, Key: key}, tls.NoClientCert, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	now := time.Now()
	certs.SetClock(s, func() time.Time { return now })
	step := func() string {
		now = now.Add(2 * time.Second)
		return name(t, s.Current())
	}
	first := step()
	require.Equal(t, first, step())

	ca.Issue("one")
	touch(t, now.Add(time.Hour), cert, key)
	require.Equal(t, first, name(t, s.Current()), "not yet")
	second := step()
	require.NotEqual(t, first, second)
	require.Contains(t, log.String(), "were read again")

	require.NoError(t, os.WriteFile(cert, []byte("no certificate"), 0o600))
	touch(t, now.Add(2*time.Hour), cert)
	require.Equal(t, second, step(), "those before stay in force")
	require.Contains(t, log.String(), "cannot be used")
	log.Reset()
	require.Equal(t, second, step())
	require.Empty(t, log.String(), "it is said once")

	require.NoError(t, os.Remove(cert))
	require.Equal(t, second, step(), "it is being replaced")
	ca.Issue("one")
	require.NotEqual(t, second, step())
}

// touch gives files a time that no other version of them had.
func touch(t *testing.T, at time.Time, paths ...string) {
	t.Helper()
	for _, path := range paths {
		require.NoError(t, os.Chtimes(path, at, at))
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("one")
	_, other := ca.Issue("two")
	large := t.TempDir() + "/large"
	require.NoError(t, os.WriteFile(large, make([]byte, 1<<20+1), 0o600))
	for want, f := range map[string]certs.Files{
		"no such file":               {Cert: cert + "x", Key: key},
		"no such file or":            {Cert: cert, Key: key + "x"},
		"private key does not match": {Cert: cert, Key: other},
		"failed to find":             {Cert: key, Key: key},
		"longer than 1048576 bytes":  {Cert: large, Key: key},
		"no certificate in it":       {Cert: cert, Key: key, CA: key},
		"is a directory":             {Cert: cert, Key: key, CA: t.TempDir()},
	} {
		_, err := certs.Open(f, tls.NoClientCert, slog.Default())
		require.ErrorContains(t, err, want)
	}
	_, err := certs.Open(certs.Files{Cert: cert, Key: key}, tls.RequireAndVerifyClientCert, slog.Default())
	require.ErrorContains(t, err, "cannot be judged")
}
