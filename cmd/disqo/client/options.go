// Package client is what the commands that ask a broker share: their options for
// finding it and for being let in, the connection, and how options are described.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

const (
	// DefaultAddr is where a broker is unless somebody says otherwise.
	DefaultAddr = "127.0.0.1:7711"

	// passwordEnv keeps the password out of the list of processes.
	passwordEnv = "DISQO_PASSWORD"
)

// Options say where a broker is and how to be let in.
type Options struct {
	Addr     string // host:port
	User     string // for AUTH; "": the default one
	Password string // "": no AUTH

	TLS       bool
	CACert    string // file of certificates to judge the broker's by, PEM; "": the system's
	Cert, Key string // files of this client's certificate and of its key, PEM; "": none
	SNI       string // the name the broker is asked for, and must have; "": the host of Addr
	Insecure  bool   // trust any certificate
}

// Flags adds the options but for the address to those of a command. They are named
// as redis-cli's are.
func (o *Options) Flags(f *flag.FlagSet) {
	f.StringVar(&o.User, "user", "", "`name` of the user, for AUTH name password")
	f.StringVar(&o.Password, "password", "", "`password` of the broker or of the user; better in the environment, as "+passwordEnv+
		", as others on this machine can see the command line")
	f.BoolVar(&o.TLS, "tls", false, "speak TLS, to a tls-port")
	f.StringVar(&o.CACert, "cacert", "", "`file` of the CA that the broker's certificate must be of, PEM; without it the system's CAs are trusted")
	f.StringVar(&o.Cert, "cert", "", "`file` of a certificate to show to the broker, PEM; goes with --key")
	f.StringVar(&o.Key, "key", "", "`file` of the key of that certificate, PEM")
	f.StringVar(&o.SNI, "sni", "", "`name` that the broker's certificate must be for, if it is not the host's")
	f.BoolVar(&o.Insecure, "insecure", false, "trust any certificate: whoever is in between reads all, and the password")
}

// Complete takes the password from the environment if there is no other, and says what
// of the options does not go together.
func (o *Options) Complete() error {
	if o.Password == "" {
		o.Password = os.Getenv(passwordEnv)
	}
	if _, _, err := net.SplitHostPort(o.Addr); err != nil {
		return fmt.Errorf("the address of the broker is host:port: %w", err)
	}
	switch {
	case o.User != "" && o.Password == "":
		return errors.New("--user goes with a password: set " + passwordEnv)
	case !o.TLS && (o.CACert != "" || o.Cert != "" || o.Key != "" || o.SNI != "" || o.Insecure):
		return errors.New("--cacert, --cert, --key, --sni and --insecure go with --tls")
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("--cert and --key go together")
	case o.Insecure && (o.CACert != "" || o.SNI != ""):
		return errors.New("--insecure trusts any certificate: leave out --cacert and --sni, or it")
	}
	return nil
}

// config reads the files for TLS.
func (o *Options) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.SNI, InsecureSkipVerify: o.Insecure}
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		if err != nil {
			return nil, fmt.Errorf("--cacert: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--cacert: there is no certificate in %s", o.CACert)
		}
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Parse reads a command line whose options may stand before, between and behind the
// other words, which it returns.
func Parse(f *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return words, nil
		}
		words, args = append(words, f.Arg(0)), f.Args()[1:]
	}
}

// Describe prints what each option is for.
func Describe(w io.Writer, f *flag.FlagSet) {
	f.VisitAll(func(f *flag.Flag) {
		value, help := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %s\n      %s\n", strings.TrimSpace(Dashed(f.Name)+" "+value), help)
	})
}

// Dashed is an option as people write it.
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
