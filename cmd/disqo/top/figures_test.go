package top

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0": count(0), "99999": count(99_999), "100k": count(100_000), "999k": count(999_999),
		"12.3M": count(12_345_678), "1.0G": count(1_000_000_000),
		"-": perSecond(-1), "0.4": perSecond(0.4), "9.9": perSecond(9.94), "10": perSecond(10), "12346": perSecond(12345.6), "1.5M": perSecond(1.5e6),
		"0B": bytes(0), "1023B": bytes(1023), "1.5K": bytes(1536), "1.0M": count(1_000_000), "227.3M": bytes(238_341_325), "8388608.0T": bytes(math.MaxInt64),
		"59s": age(59), "1m00s": age(60), "59m59s": age(3599), "1h00m": age(3600), "23h59m": age(86399), "1d00h": age(86400), "99d23h": age(8_639_999),
		"180us": trip(180 * time.Microsecond), "1.5ms": trip(1500 * time.Microsecond), "12.0ms": trip(12 * time.Millisecond),
	} {
		require.Equal(t, want, got)
	}
	require.Equal(t, "-", trip(0))
	require.Equal(t, "0", perSecond(0))
}
