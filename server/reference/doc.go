// Package reference tests that a cluster of brokers behaves as Disque's own
// test suite demands of Disque, and that three nodes answer as it was heard to
// answer. Every node is a process of its own. It has no code of its own.
//
// The environment variable DISQO_TEST_SERVER names another program to test, a
// disque-server for one: it shows that the tests demand nothing that Disque
// does not do. -reference.seed repeats the random choices of a test that
// failed, and -short leaves out what takes longest.
package reference
