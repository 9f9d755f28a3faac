package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/config"
)

// healthTimeout bounds a health check, from dialling to the answer. Docker's
// own limit is in Dockerfile, above it.
const healthTimeout = 3 * time.Second

// healthcheck asks the broker that was started with the same arguments on this
// machine whether it lives: its HTTP side, or without one by a PING. It returns an
// exit code, 0 for yes; if not, it says why.
func healthcheck(args []string, stderr io.Writer) int {
	return check(args, stderr, func(cfg *config.Config) error {
		if cfg.HTTPPort < 0 {
			return ping(cfg)
		}
		return probe(cfg, "/healthz")
	})
}

// readycheck asks its HTTP side whether clients should be sent to it.
func readycheck(args []string, stderr io.Writer) int {
	return check(args, stderr, func(cfg *config.Config) error {
		if cfg.HTTPPort < 0 {
			return errors.New("--readycheck asks the HTTP side, and there is none: set http-port")
		}
		return probe(cfg, "/readyz")
	})
}

// check reads the configuration and asks; what is wrong is printed.
func check(args []string, stderr io.Writer, ask func(cfg *config.Config) error) int {
	set, err := config.Load(args)
	if err == nil {
		err = ask(set.Get())
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo: not healthy: %v\n", err)
		return 1
	}
	return 0
}

// probe gets a page of the HTTP side, which needs no password for those about health.
func probe(cfg *config.Config, path string) error {
	addr, err := ownAddress(cfg, cfg.HTTPPort, "http-port")
	if err != nil {
		return err
	}
	client := http.Client{Timeout: healthTimeout, Transport: &http.Transport{}} // no proxy
	res, err := client.Get("http://" + addr + path)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if res.StatusCode == http.StatusOK {
		return err
	}
	return fmt.Errorf("%s of %s answers %d: %s", path, addr, res.StatusCode, strings.TrimSpace(string(text)))
}

// ping sends PING. A broker that asks for a password first, or talks to nobody
// without one, is as alive as one that answers PONG.
func ping(cfg *config.Config) error {
	addr, err := ownAddress(cfg, cfg.Port, "port")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	// It is asked whether it lives, not who it is: its certificate is for another name.
	secure := cfg.TLSPort == cfg.Port
	conn, err := client.Dial(ctx, &client.Options{Addr: addr, TLS: secure, Insecure: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	if secure && cfg.TLSAuthClients == "yes" {
		return nil // it will ask for a certificate, which is sign enough
	}
	replies, err := conn.Ask(ctx, []string{"PING"})
	no := client.Refusal("")
	switch {
	case errors.As(err, &no) && (strings.HasPrefix(string(no), "NOAUTH ") || strings.HasPrefix(string(no), "DENIED ")):
		return nil
	case err != nil:
		return fmt.Errorf("PING of %s: %w", addr, err)
	case replies[0] != "PONG":
		return fmt.Errorf("PING of %s was answered %q", addr, fmt.Sprint(replies[0]))
	}
	return nil
}

// ownAddress returns where a broker of this configuration serves clients of its
// own machine on a port, which the directive of that name says.
func ownAddress(cfg *config.Config, port int, name string) (string, error) {
	if port == 0 {
		return "", fmt.Errorf("%s 0 stands for any free one: say --%s", name, name)
	}
	host := "127.0.0.1"
	if len(cfg.Bind) > 0 {
		host = cfg.Bind[0]
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}
