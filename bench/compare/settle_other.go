//go:build !linux && !darwin

package compare

func settle() {}
