// Package bench is a load generator for brokers that speak Disque's commands.
// It talks raw RESP over many connections and measures the three phases of a
// job's life: produce, consume and acknowledge, and both at once.
package bench
