// Package config knows every setting of a node: its name, type, bounds,
// default and whether it may change while the node runs.
//
// One table (reference.go for Disque's directives, ours.go for the rest) says
// all of that once. Reading a file, the command line, CONFIG GET, CONFIG SET,
// CONFIG REWRITE and the printed documentation are all derived from it, so a
// new directive is one field of Config and one row of the table.
//
// A Config is an immutable snapshot. A Set holds the current one: Get is one
// atomic load and may be called for every command; Update makes a changed copy,
// asks the hooks, and swaps it in.
//
//	file, '-', --options ──Load──▶ Set ──Get──▶ *Config (never changes)
//	                                ▲
//	CONFIG SET ──Update─────────────┘ hooks may veto, then the pointer is swapped
//	CONFIG REWRITE ──Rewrite──▶ same file, atomically, proved to load to the same values
//
// What it is not: it opens no socket, log or job file, never changes the working
// directory, and prints nothing. It does look at the disk to read configuration
// files and to check that `dir` is a directory.
package config
