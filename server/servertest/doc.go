// Package servertest starts brokers for tests, in this process or as one of
// their own, and talks raw RESP to them. Only tests import it.
package servertest
