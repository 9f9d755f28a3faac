// Package certs serves TLS with certificates that are files, and reads them again
// when they change: a renewed certificate needs no restart. Files that cannot be
// read, or do not belong together, leave the ones before in force.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	lookEvery = time.Second // the files are looked at no more often
	fileMax   = 1 << 20     // bytes of one
)

// Files are the paths of a certificate with its chain, of its key and of the
// certificates by which others are judged, all in PEM; CA may be "".
type Files struct{ Cert, Key, CA string }

// Store holds what the files said. Its methods may be called from any goroutine.
type Store struct {
	files Files
	auth  tls.ClientAuthType
	log   *slog.Logger
	now   func() time.Time

	mu     sync.Mutex
	looked time.Time
	seen   [3]version // of the files that were read last, whether they were good or not
	config *tls.Config
}

// version tells contents of a file from others.
type version struct {
	size  int64
	mtime time.Time
}

// Open reads the files. auth says what is asked of clients: nothing, a certificate
// if they have one, or one in any case; it is judged by the CA.
func Open(files Files, auth tls.ClientAuthType, log *slog.Logger) (*Store, error) {
	s := &Store{files: files, auth: auth, log: log, now: time.Now}
	if auth != tls.NoClientCert && files.CA == "" {
		return nil, errors.New("certificates of clients cannot be judged without a file of the CA")
	}
	s.looked = s.now()
	s.seen, _ = s.look()
	var err error
	s.config, err = s.read()
	return s, err
}

// Server returns a configuration for servers, TLS 1.2 or later, that is always that
// of the present files.
func (s *Store) Server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.Current(), nil },
	}
}

// Current returns the configuration by the files as they were a second ago, or
// later. It must not be changed.
func (s *Store) Current() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		s.refresh()
	}
	return s.config
}

// refresh reads the files again if they have changed. A file that is not there is
// about to be: then nothing is read yet.
func (s *Store) refresh() {
	seen, err := s.look()
	if err != nil || seen == s.seen {
		return
	}
	s.seen = seen
	config, err := s.read()
	if err != nil {
		s.log.Warn("the TLS certificates have changed and cannot be used; those before stay in force", "cert", s.files.Cert, "error", err)
		return
	}
	s.config = config
	s.log.Info("the TLS certificates were read again", "cert", s.files.Cert)
}

func (s *Store) look() (seen [3]version, err error) {
	for i, path := range [...]string{s.files.Cert, s.files.Key, s.files.CA} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return seen, err
		}
		seen[i] = version{info.Size(), info.ModTime()}
	}
	return seen, nil
}

func (s *Store) read() (*tls.Config, error) {
	cert, err := readFile(s.files.Cert)
	if err != nil {
		return nil, err
	}
	key, err := readFile(s.files.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", s.files.Cert, s.files.Key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: s.auth}
	if s.files.CA == "" {
		return config, nil
	}
	ca, err := readFile(s.files.CA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: there is no certificate in it", s.files.CA)
	}
	return config, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err == nil && len(b) > fileMax {
		err = fmt.Errorf("%s: longer than %d bytes", path, fileMax)
	}
	return b, err
}
