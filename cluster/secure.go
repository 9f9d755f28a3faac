package cluster

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/disqo/disqo/cluster/crowd"
)

// Everything that keeps strangers out of a cluster comes from its secret, by HKDF
// (RFC 5869): the key of gossip, and the key of a certificate authority. Each node
// makes that authority again, the same on all, and signs itself a certificate with
// it, which it keeps in memory only; links are TLS 1.3, on which both sides show one.
// A second secret that is accepted, too, lets a cluster change its secret one node
// after the other.
const (
	gossipInfo    = "disqo gossip v1"
	authorityInfo = "disqo authority v1"
	keyBytes      = 32 // AES-256
)

// ErrSecret says that a secret can be changed while a node runs, but not set or taken away.
var ErrSecret = errors.New("cluster-secret can be changed while the node runs, but not set or taken away: that needs a restart")

// armour is what a node has made of the secrets. It is immutable.
type armour struct {
	keys  [][]byte // of gossip; the first encrypts. None: gossip is plain
	links *tls.Config
}

// forge makes the armour of a secret and of another one that is accepted, too; ""
// is none.
func forge(secret, also string) (*armour, error) {
	a := &armour{}
	if secret == "" {
		return a, nil
	}
	pool := x509.NewCertPool()
	var pair tls.Certificate
	for _, s := range []string{secret, also} {
		if s == "" || s == secret && a.keys != nil {
			continue
		}
		key, err := hkdf.Key(sha256.New, []byte(s), nil, gossipInfo, keyBytes)
		if err != nil {
			return nil, err
		}
		seed, err := hkdf.Key(sha256.New, []byte(s), nil, authorityInfo, ed25519.SeedSize)
		if err != nil {
			return nil, err
		}
		signer := ed25519.NewKeyFromSeed(seed)
		authority, err := newAuthority(signer)
		if err != nil {
			return nil, err
		}
		if a.keys == nil {
			if pair, err = newCertificate(authority, signer); err != nil {
				return nil, err
			}
		}
		a.keys = append(a.keys, key)
		pool.AddCert(authority)
	}
	a.links = LinkTLS([]tls.Certificate{pair}, pool)
	return a, nil
}

// The certificates never leave the memory of nodes, whose clocks may be wrong, and
// end with the secret: they have no other end.
var (
	always = time.Unix(0, 0)
	never  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280: no end
)

// newAuthority returns the certificate of the authority, the same on all nodes: a
// signature by Ed25519 is no matter of chance.
func newAuthority(signer ed25519.PrivateKey) (*x509.Certificate, error) {
	id := sha256.Sum256(signer.Public().(ed25519.PublicKey))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: fmt.Sprintf("disqo cluster %x", id[:8])}, SubjectKeyId: id[:20],
		NotBefore: always, NotAfter: never, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return signed(template, template, signer.Public(), signer)
}

// newCertificate returns one for a node.
func newCertificate(authority *x509.Certificate, signer ed25519.PrivateKey) (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "disqo node"}, NotBefore: always, NotAfter: never,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leaf, err := signed(template, authority, public, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: private, Leaf: leaf}, nil
}

func signed(template, parent *x509.Certificate, public crypto.PublicKey, signer ed25519.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// LinkTLS returns a configuration for both sides of links between nodes that show
// these certificates, and believe whom an authority of the pool has signed: nodes
// have no names that a certificate could be for.
func LinkTLS(own []tls.Certificate, authorities *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: own, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		InsecureSkipVerify: true, // VerifyConnection does it, on both sides
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return errors.New("the other node shows no certificate")
			}
			between := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	}
}

// SetSecrets has the node use a secret from now on, and accept another one, too, ""
// if none. Links to who showed a certificate of neither are renewed, see Options.Renew,
// and over when it returns. The error is ErrSecret, or from making keys. One call at a time.
func (c *Cluster) SetSecrets(secret, also string) error {
	a, err := forge(secret, also)
	if err == nil {
		err = c.arm(a)
	}
	if err != nil {
		return err
	}
	if c.o.Renew != nil {
		c.o.Renew(func(nc net.Conn) bool {
			s, ok := nc.(*sealed)
			return ok && !c.believes(s.Conn)
		})
	}
	c.dropForeign()
	return nil
}

// arm has what is heard and said from now on be that of the secrets of a.
func (c *Cluster) arm(a *armour) error {
	c.life.Lock()
	defer c.life.Unlock()
	if (a.keys == nil) != (c.ring == nil) {
		return ErrSecret
	}
	if c.ring != nil {
		if err := c.turnRing(a.keys); err != nil {
			return err
		}
	}
	c.armour.Store(a)
	return nil
}

// dropForeign ends what is left of links to who has not the secrets of now.
func (c *Cluster) dropForeign() {
	c.sealedMu.Lock()
	links := slices.Collect(maps.Keys(c.sealed))
	c.sealedMu.Unlock()
	for _, s := range links {
		if !c.believes(s.Conn) {
			_ = s.Close()
		}
	}
}

// believes reports whether who is at the other end of a link has shown a certificate
// that counts now. Those of a CA of its own are looked at when a link begins.
func (c *Cluster) believes(t *tls.Conn) bool {
	links := c.armour.Load().links
	return c.o.Links != nil || links == nil || links.VerifyConnection(t.ConnectionState()) == nil
}

// keep makes a link of a connection whose handshake is done. The secrets may have
// changed during that.
func (c *Cluster) keep(t *tls.Conn) (net.Conn, error) {
	s := &sealed{t, c}
	c.sealedMu.Lock()
	c.sealed[s] = struct{}{}
	c.sealedMu.Unlock()
	if !c.believes(t) {
		_ = s.Close()
		return nil, fmt.Errorf("%w: it was changed meanwhile", errForeign)
	}
	return s, nil
}

// turnRing gives gossip other keys. What is heard while that is done is read by the
// old ones or the new.
func (c *Cluster) turnRing(keys [][]byte) error {
	for _, k := range keys {
		if err := c.ring.AddKey(k); err != nil {
			return err
		}
	}
	if err := c.ring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, k := range c.ring.GetKeys() {
		if !slices.ContainsFunc(keys, func(have []byte) bool { return bytes.Equal(have, k) }) {
			if err := c.ring.RemoveKey(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// newRing returns the keys of gossip as memberlist wants them, nil if there are none.
func newRing(keys [][]byte) (*memberlist.Keyring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return memberlist.NewKeyring(keys, keys[0])
}

// linkTLS returns what links are encrypted with, nil if they are not.
func (c *Cluster) linkTLS() *tls.Config {
	if c.o.Links != nil {
		return c.o.Links()
	}
	return c.armour.Load().links
}

// seal encrypts a connection that this node has opened for a link, and knows then
// that a node of the cluster is at the other end.
func (c *Cluster) seal(ctx context.Context, nc net.Conn) (net.Conn, error) {
	config := c.linkTLS()
	if config == nil {
		return nc, nil
	}
	t := tls.Client(nc, config)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("%s: no encrypted link: %w", nc.RemoteAddr(), err)
	}
	return c.keep(t)
}

// unseal does the same for one that begins like a link and was opened by somebody
// else, who may be no node of the cluster.
func (c *Cluster) unseal(ctx context.Context, nc net.Conn, first byte) (net.Conn, error) {
	config := c.linkTLS()
	switch {
	case config == nil && first == byteLink:
		return nc, nil
	case config == nil:
		return nil, errSealed
	case first == byteLink:
		return nil, errUnsealed
	}
	ctx, cancel := context.WithTimeout(ctx, c.bus.decideTime)
	defer cancel()
	t := tls.Server(nc, config)
	if err := t.HandshakeContext(ctx); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err // whoever it was did not try
		}
		return nil, fmt.Errorf("%w: %w", errForeign, err)
	}
	return c.keep(t)
}

// Why links of strangers are refused.
var (
	errSealed   = errors.New("a node with a cluster-secret tried to talk to this one, which has none")
	errUnsealed = errors.New("a node without the cluster-secret tried to talk to this one")
	errForeign  = errors.New("a node with another cluster-secret tried to talk to this one")
)

// turnedAway counts a stranger and, now and then, says so.
func (c *Cluster) turnedAway(nc net.Conn, err error) {
	for _, known := range []error{errSealed, errUnsealed, errForeign} {
		if errors.Is(err, known) {
			c.refused.Add(1)
			host := crowd.Host(nc.RemoteAddr()).String()
			args := []any{"from", host}
			if why, ok := strings.CutPrefix(err.Error(), known.Error()+": "); ok {
				args = append(args, "error", why)
			}
			c.lines.Say(slog.LevelWarn, crowd.Stranger(host), "cluster: "+known.Error(), args...)
		}
	}
}

// Refused returns how often somebody tried to talk to this node who has not the
// secret of the cluster, or its name.
func (c *Cluster) Refused() int64 { return c.refused.Load() }

// sealed is an encrypted link. Its end is that of the connection below: TLS would
// wait, up to seconds, for somebody to hear its farewell.
type sealed struct {
	*tls.Conn
	c *Cluster // knows it until Close
}

// Close implements net.Conn.
func (s *sealed) Close() error {
	s.c.sealedMu.Lock()
	delete(s.c.sealed, s)
	s.c.sealedMu.Unlock()
	return s.NetConn().Close()
}

// Read implements net.Conn.
func (s *sealed) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
