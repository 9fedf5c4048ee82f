package artifact

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// DiskUse returns the bytes that path and all below it take on the disk; of a file
// with several names its share. What is not there takes nothing.
func DiskUse(ctx context.Context, path string) (int64, error) {
	var n int64
	err := each(ctx, path, func(_ string, st stat) error {
		if st.kind() == kindDir {
			n += st.blocks
		} else {
			n += st.blocks / int64(max(1, st.nlink))
		}
		return nil
	})
	return n, err
}

// each visits path and all below it. What vanishes in the meantime is left out.
func each(ctx context.Context, path string, visit func(path string, st stat) error) error {
	return filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			var st stat
			if st, err = statPath(path); err == nil {
				err = visit(path, st)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
