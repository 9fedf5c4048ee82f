package docker

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"github.com/wherry-ml/wherry/runner"
)

var _ runner.Tidier = (*Backend)(nil)

// Tidy removes what is left of pods that are gone: the files and volumes beside their
// containers, and the containers of builds that nobody carries on. It asks the engine
// twice, however many pods there are.
func (b *Backend) Tidy(ctx context.Context, pods []string) error {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return err
	}
	b.sweepLayers(ctx, e)
	list, err := e.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(
		filters.Arg("label", runner.LabelHome+"="+b.cfg.Home), filters.Arg("label", runner.LabelPod))})
	if err != nil {
		return e.failed(err, "list the volumes of pods")
	}
	left := map[string]bool{}
	for _, v := range list.Volumes {
		left[v.Labels[runner.LabelPod]] = true
	}
	var errs []error
	for _, pod := range pods {
		if _, err := os.Lstat(b.workDir(pod)); left[pod] || !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, b.Remove(ctx, pod))
		}
	}
	return errors.Join(errs...)
}
