package durable

import (
	"os"
	"testing"
)

// The tests here say which log they want, if any.
func TestMain(m *testing.M) {
	_ = os.Unsetenv("DISQO_TEST_POLICY")
	os.Exit(m.Run())
}
