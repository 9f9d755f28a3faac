package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/disqo/disqo/server/config"
)

// healthTimeout bounds a health check, from dialling to the answer. Docker's
// own limit is in Dockerfile, above it.
const healthTimeout = 3 * time.Second

// healthcheck asks the broker that was started with the same arguments on this
// machine whether it serves clients. It returns an exit code, 0 for yes; if
// not, it says why.
func healthcheck(args []string, stderr io.Writer) int {
	set, err := config.Load(args)
	if err == nil {
		err = ping(set.Get())
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo: not healthy: %v\n", err)
		return 1
	}
	return 0
}

// ping sends PING. A broker that asks for a password first is as alive as one
// that answers PONG, so the check needs none.
func ping(cfg *config.Config) error {
	addr, err := ownAddress(cfg)
	if err != nil {
		return err
	}
	until := time.Now().Add(healthTimeout)
	nc, err := net.DialTimeout("tcp", addr, healthTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(until); err != nil {
		return err
	}
	if _, err := io.WriteString(nc, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(io.LimitReader(nc, 1<<10)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("PING of %s: %w", addr, err)
	}
	if line = strings.TrimSuffix(line, "\r\n"); line != "+PONG" && !strings.HasPrefix(line, "-NOAUTH ") {
		return fmt.Errorf("PING of %s was answered %q", addr, line)
	}
	return nil
}

// ownAddress returns where a broker of this configuration serves clients of its
// own machine.
func ownAddress(cfg *config.Config) (string, error) {
	if cfg.Port == 0 {
		return "", errors.New("port 0 stands for any free one: say --port")
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
	return net.JoinHostPort(host, strconv.Itoa(cfg.Port)), nil
}
