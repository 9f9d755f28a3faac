package clustered

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who does not know cluster-secret cannot speak as a member: here somebody who
// knows the ids of the nodes makes one of them forget a job.
func TestStrangerWithAMembersName(t *testing.T) {
	t.Parallel()
	s := cluster(t, 2, "--cluster-secret", "secret", "--cluster-name", "prod")
	job := s.c[0].Job("q", "b", "REPLICATE", "1")
	nc, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", s.c[0].Self().Bus))
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	as, err := hex.DecodeString(s.ids[1])
	require.NoError(t, err)
	hello := append(as, 1, 2, 3, 4, 5, 6, 7, 8, linkVersion, linkVersion, 0, 1, 0, 1, 0, 4)
	hello = append(hello, "prod\x00"...)
	_, err = nc.Write(append([]byte{'D'}, frame(1, hello)...))
	require.NoError(t, err)
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
	_, _ = io.ReadFull(nc, make([]byte, 10)) // its hello, or the end
	_, _ = nc.Write(frame(delJob, append([]byte{0, 0, 0}, packed(t, job)...)))
	_, _ = io.Copy(io.Discard, nc) // it is closed
	require.Equal(t, "queued", s.state(0, job))
}

// linkVersion is the version of links, delJob the type of the message that makes a
// node forget a job.
const (
	linkVersion = 2
	delJob      = 19
)

// frame returns a frame of a link.
func frame(typ byte, payload []byte) []byte {
	body := append([]byte{linkVersion, typ}, payload...)
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))), body...)
}

// packed returns a job id as links carry it: what is random, the node, the TTL.
func packed(t *testing.T, id string) []byte {
	middle, err := base64.RawStdEncoding.DecodeString(id[11:35])
	require.NoError(t, err)
	node, err := hex.DecodeString(id[2:10])
	require.NoError(t, err)
	ttl, err := hex.DecodeString(id[36:])
	require.NoError(t, err)
	return slices.Concat(middle, node, ttl)
}
