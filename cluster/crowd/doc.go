// Package crowd keeps those whom a node does not know from taking all places
// and all lines of its log.
package crowd
