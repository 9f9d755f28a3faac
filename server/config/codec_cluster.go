package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	joinsMax           = 64    // one name may stand for any number of nodes
	secretBytesMax     = 512   // as for requirepass
	clusterNameMax     = 200   // a label of the gossip has at most 255 bytes
	clientPortMax      = 55535 // the bus is 10000 above
	portMax            = 65535
	clusterPortDefault = -1
)

var errNotJoin = errors.New("takes host[:port[@busport]], an IPv6 address with a port in brackets")

// joins is a list of nodes to find the cluster by, once for each line or several
// in a line. It is kept sorted and without repetitions.
func joins(field func(*Config) *[]string) codec {
	return codec{
		values: "host[:port[@busport]], default port 7711; repeatable",
		reset:  func(c *Config) { *field(c) = nil },
		parse: func(c *Config, args []string) error {
			list := slices.Clone(*field(c))
			for _, target := range words(args) {
				if !isJoin(target) {
					return fmt.Errorf("'%s': %w", printable(target), errNotJoin)
				}
				list = append(list, target)
			}
			slices.Sort(list)
			if list = slices.Compact(list); len(list) > joinsMax {
				return fmt.Errorf("takes at most %d addresses in all", joinsMax)
			}
			*field(c) = list
			return nil
		},
		entries: func(c *Config) []entry {
			var list []entry
			for _, target := range *field(c) {
				list = append(list, entry{key: target, args: []string{target}})
			}
			return list
		},
		show: func(c *Config) string { return strings.Join(*field(c), " ") },
		key:  func(args []string) string { return strings.Join(words(args), " ") },
	}
}

// isJoin reports whether s is host[:port[@busport]].
func isJoin(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	s, bus, hasBus := strings.Cut(s, "@")
	host, port, hasPort := s, "", false
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port, hasPort = s[:i], s[i+1:], true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !closed || err != nil || !ip.Is6() {
			return false
		}
		host = inner
	} else if strings.Contains(host, ":") {
		return false
	}
	return isHost(host) && (!hasPort || isPort(port, clientPortMax)) && (!hasBus || hasPort && isPort(bus, portMax))
}

func isPort(s string, high int) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= 1 && n <= uint64(high)
}

// host is one IP address or host name, or "".
func host(field func(*Config) *string) codec {
	return single(field, "", "address or host name", func(s string) (string, error) {
		if s != "" && !isHost(s) {
			return "", fmt.Errorf("'%s' is neither an address nor a host name", printable(s))
		}
		return s, nil
	}, same)
}

// label is printable ASCII without blanks, or "".
func label(field func(*Config) *string) codec {
	return single(field, "", fmt.Sprintf("at most %d printable characters", clusterNameMax), func(s string) (string, error) {
		if len(s) > clusterNameMax || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", fmt.Errorf("must be at most %d printable characters without blanks", clusterNameMax)
		}
		return s, nil
	}, same)
}
