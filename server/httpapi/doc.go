// Package httpapi is what a broker shows over HTTP: health, metrics, jobs as JSON
// and by RestMQ's protocol, and a dashboard with the events that keep it live. It
// knows no socket: the server owns those, and is the [Broker].
package httpapi
