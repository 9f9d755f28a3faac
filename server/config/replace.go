package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFileMode is for a file that was removed since the start: it may hold a
// password, so nobody else may read it.
const newFileMode fs.FileMode = 0o600

// replaceFile gives a file new contents such that after a crash at any moment
// it has either the old or the new ones: a temporary file beside it is written,
// synced and renamed over it, then the directory is synced. The mode is kept,
// and a symbolic link stays one. Anything but a regular file is refused.
func replaceFile(file string, data []byte) error {
	file, mode, err := replaceTarget(file)
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(file)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	if err := writeSynced(tmp, mode, data); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), file); err != nil {
		return err
	}
	return syncDir(dir)
}

// replaceTarget follows symbolic links and returns the file to replace and its mode.
func replaceTarget(file string) (string, fs.FileMode, error) {
	target, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return file, newFileMode, nil
	}
	if err != nil {
		return "", 0, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is not a regular file", target)
	}
	return target, info.Mode().Perm(), nil
}

// writeSynced writes, syncs and closes f.
func writeSynced(f *os.File, mode fs.FileMode, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// syncDir makes a rename in dir survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
