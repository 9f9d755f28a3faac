// Package top is `disqo top`: a view of one broker, its nodes and its queues on a
// terminal, or as plain text once.
//
// It is a client like any other: all it knows it asks for with INFO, CLUSTER NODES,
// QSCAN and QSTAT. What is asked (sample), what follows from it (rows) and how it
// looks (picture) know nothing of terminals; what comes from a broker is shown by
// line.render alone, which lets no control character through.
package top
