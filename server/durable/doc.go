// Package durable tests what a broker keeps on disk: processes that are killed
// and started again on the same directory, full disks, failing ones. It has no
// code of its own.
package durable
