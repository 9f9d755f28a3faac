// Package clustered tests, at the level of clients, what brokers promise that
// are one cluster. It has no code of its own.
package clustered
