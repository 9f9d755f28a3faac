// Package clients holds only tests: what mainstream Redis clients do with a
// broker when nobody has told them that it is not Redis. The Go libraries run
// with their default settings against a real process; of the others the
// commands they send on connect, as captured on the wire, are replayed.
//
// A user who points a client library at Disqo must see no error and no log
// line, on either side. That is what fails here.
package clients
