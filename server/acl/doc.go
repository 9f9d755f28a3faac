// Package acl says who may do what: users with passwords, the commands that each
// may run and the queues that each may name. The rules are a subset of those of
// Redis' ACL SETUSER.
//
// Everything but Log is immutable: what changes a User or Users returns another,
// so whoever holds one may keep it and share it between goroutines.
package acl
