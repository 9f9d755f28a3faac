// Package cluster is who is in the cluster: this node's identity, kept in
// nodes.conf, and the table of the nodes it knows.
//
// memberlist carries who is alive and 512 bytes of meta of each node, nothing
// else; DESIGN.md says how. The bus is one port: TCP connections that start
// with the byte of a link are handed to the links of package replication, those
// that start with a byte of memberlist's are gossip, and so is UDP.
//
//	New ──▶ bus (sockets) ──▶ transport ──▶ memberlist ──▶ events ──▶ roster ──▶ Members, OnChange, nodes.conf
//	            └────────────▶ OnLink          ▲
//	        Meet, join, nodes.conf, failed ────┘ joins
//
// It knows nothing of jobs.
package cluster
