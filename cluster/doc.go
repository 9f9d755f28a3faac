// Package cluster is who is in the cluster: this node's identity, kept in
// nodes.conf, and the table of the nodes it knows, fed by memberlist.
//
// It knows nothing of jobs.
package cluster
