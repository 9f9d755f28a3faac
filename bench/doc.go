// Package bench loads, measures and tortures brokers that speak Disque's
// commands.
//
//   - Run makes load on a broker that runs, and measures the three phases of a
//     job's life: produce, consume and acknowledge, and both at once.
//   - Durable starts brokers and measures what a log costs, in pairs.
//   - Kill starts a broker, kills it again and again under load, and judges by a
//     Checker whether it kept its word. Other tortures share the Checker and its
//     Verdict.
//
// It talks raw RESP over many connections and knows nothing of the broker's
// inside: what is true of disqo can be tried on any other.
package bench
