// Package memfs is a file system in memory that can lose power: an aof.FS for
// crash tests and the simulator. It keeps what was written apart from what is
// durable, and Crash makes a new file system of the one and any part of the
// other. It is deterministic: the same calls give the same states, and all
// chance comes from the caller.
//
// What it promises is exactly what aof/DESIGN.md assumes of a disk:
//   - A file's sync makes its contents and size durable, not its name.
//   - A directory's sync makes the names in it durable; MkdirAll does at once.
//   - Everything else may be there after a crash or not, each sector of 512
//     bytes, each size and each directory entry on its own. A sector is one of
//     the versions written since the last sync or the one before, never a mix.
//   - What a sync failed to write can be read, but is given up: later ones
//     succeed and do not write it either, as Linux does to whoever tries again
//     (fsyncgate). Only writing it anew helps.
//
// It knows no permissions, symbolic links or times, and no file is a directory's name.
package memfs
