// Package httpapi is what a broker shows over HTTP: whether it lives and is
// ready, and its metrics. It knows no socket: the server owns those, and is the
// [Broker].
package httpapi
