// Package bench starts brokers that speak Disque's commands and tortures them.
//
//   - Kill starts a broker, kills it again and again under load, and judges by a
//     Checker whether it kept its word. Cluster does the like with clusters;
//     both share the Checker and the TortureReport.
//   - Sim runs the simulator for long, and keeps count of its hours.
//   - StartProcess runs a broker in a process of its own.
//
// Package load makes load and measures it; package compare measures brokers side
// by side. All talk raw RESP and know nothing of the broker's inside: what is
// true of disqo can be tried on any other.
package bench
