package docker

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/volume"

	"github.com/wherry-ml/wherry/runner"
)

var _ runner.Housekeeper = (*Backend)(nil)

// usedAfter is how much later than the last one a use of an image is noted: an
// engine keeps no time of use, only that of the last tag.
const usedAfter = 10 * time.Second

// Holdings lists the images that bear a derivation, this home's named volumes, the
// volume of pip and builds that were left behind.
func (b *Backend) Holdings(ctx context.Context, sizes bool) ([]runner.Holding, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return nil, err
	}
	var use types.DiskUsage
	if sizes { // an engine may refuse it, as while it does it for another
		use, _ = e.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.ImageObject, types.VolumeObject}})
	}
	images, err := b.imageHoldings(ctx, e, use)
	if err != nil {
		return nil, err
	}
	volumes, err := b.volumeHoldings(ctx, e, use)
	if err != nil {
		return nil, err
	}
	return append(append(images, volumes...), b.buildHoldings(ctx, e)...), nil
}

func (b *Backend) imageHoldings(ctx context.Context, e *engine, use types.DiskUsage) ([]runner.Holding, error) {
	list, err := e.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelDerivation))})
	if err != nil {
		return nil, e.failed(err, "list the images that were built")
	}
	containers, err := e.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, e.failed(err, "list containers")
	}
	busy := map[string]bool{}
	for _, c := range containers {
		busy[c.ImageID] = true
	}
	own := map[string]int64{}
	for _, i := range use.Images {
		own[i.ID] = -1
		if i.SharedSize >= 0 {
			own[i.ID] = i.Size - i.SharedSize
		}
	}
	slices.SortFunc(list, func(a, b image.Summary) int { return cmp.Compare(b.Created, a.Created) }) // what is built on another first
	var out []runner.Holding
	for _, i := range list {
		if !slices.ContainsFunc(i.RepoTags, ours) && slices.ContainsFunc(i.RepoTags, named) {
			continue // a person's own, made from one of ours: it has inherited the label
		}
		h := runner.Holding{Kind: runner.HoldingImage, ID: i.ID, Name: short(i.ID), Bytes: -1, Busy: busy[i.ID]}
		if tags := slices.DeleteFunc(slices.Clone(i.RepoTags), func(tag string) bool { return !named(tag) }); len(tags) > 0 {
			h.Name = strings.Join(tags, " ")
		}
		if n, ok := own[i.ID]; ok {
			h.Bytes = n
		}
		info, err := e.ImageInspect(ctx, i.ID)
		if err != nil {
			continue // removed just now
		}
		h.Used = lastUsed(info)
		// Who uses it later than this home is another one.
		mark, err := os.Stat(b.buildLockPath(i.Labels[labelDerivation]))
		h.Own = err == nil && !h.Used.After(mark.ModTime().Add(usedAfter))
		out = append(out, h)
	}
	return out, nil
}

func named(tag string) bool { return tag != "" && tag != "<none>:<none>" }

func ours(tag string) bool { return strings.HasPrefix(tag, "wherry/") }

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}

// lastUsed is when an image was last tagged, which is how a use is noted; of an
// engine that does not say, when it was made.
func lastUsed(info image.InspectResponse) time.Time {
	if t := info.Metadata.LastTagTime; !t.IsZero() {
		return t
	}
	made, _ := time.Parse(time.RFC3339Nano, info.Created)
	return made
}

// noteUse lets this and other homes see that an image which was built is in use.
// Nothing depends on its success.
func (b *Backend) noteUse(ctx context.Context, e *engine, spec runner.BuildSpec, id string) {
	if path, err := b.buildLock(spec.Derivation); err == nil {
		if f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err == nil {
			now := time.Now()
			_ = os.Chtimes(path, now, now)
			f.Close()
		}
	}
	if spec.Name == "" {
		return
	}
	if info, err := e.ImageInspect(ctx, id); err == nil && time.Since(lastUsed(info)) > usedAfter {
		_ = e.ImageTag(ctx, id, spec.Name)
	}
}

func (b *Backend) volumeHoldings(ctx context.Context, e *engine, use types.DiskUsage) ([]runner.Holding, error) {
	list, err := e.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", runner.LabelHome+"="+b.cfg.Home))})
	if err != nil {
		return nil, e.failed(err, "list volumes")
	}
	volumes := list.Volumes
	caches := []string{b.pipCache(), oldPipCache}
	isCache := func(v *volume.Volume) bool { return slices.Contains(caches, v.Name) }
	for _, name := range caches {
		listed := slices.ContainsFunc(volumes, func(v *volume.Volume) bool { return v.Name == name })
		if v, err := e.VolumeInspect(ctx, name); err == nil && !listed {
			volumes = append(volumes, &v)
		}
	}
	type usage struct {
		bytes int64
		refs  int64
	}
	used := map[string]usage{}
	for _, v := range use.Volumes {
		if v.UsageData != nil {
			used[v.Name] = usage{v.UsageData.Size, v.UsageData.RefCount}
		}
	}
	var out []runner.Holding
	for _, v := range volumes {
		h := runner.Holding{Kind: runner.HoldingVolume, ID: v.Name, Name: v.Name, Bytes: -1, Own: true}
		if isCache(v) {
			h.Kind, h.Own = runner.HoldingCache, v.Name != oldPipCache
		} else if v.Labels[runner.LabelPod] != "" {
			continue // gone with its pod
		}
		h.Used, _ = time.Parse(time.RFC3339Nano, v.CreatedAt)
		if u, ok := used[v.Name]; ok {
			h.Bytes, h.Busy = u.bytes, u.refs > 0
		}
		out = append(out, h)
	}
	return out, nil
}

// buildHoldings lists this home's builds whose lock is free.
func (b *Backend) buildHoldings(ctx context.Context, e *engine) (out []runner.Holding) {
	for name, unlock := range b.leftLayers(ctx, e) {
		unlock()
		out = append(out, runner.Holding{Kind: runner.HoldingBuild, ID: name, Name: name, Bytes: -1, Own: true})
	}
	return out
}

// Discard removes an image, a volume or what a build left.
func (b *Backend) Discard(ctx context.Context, h runner.Holding) (bool, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return false, err
	}
	switch h.Kind {
	case runner.HoldingImage:
		return b.discardImage(ctx, e, h)
	case runner.HoldingVolume, runner.HoldingCache:
		err = e.VolumeRemove(ctx, h.ID, false)
	case runner.HoldingBuild:
		b.sweepLayers(ctx, e)
	default:
		return false, nil
	}
	if isConflict(err) {
		return false, nil
	}
	if isNotFound(err) {
		err = nil
	}
	return err == nil, e.failed(err, "remove %s %s", h.Kind, h.Name)
}

// discardImage removes an image with its names: without force an engine refuses
// where a container has it, or where another image is built on it.
func (b *Backend) discardImage(ctx context.Context, e *engine, h runner.Holding) (bool, error) {
	info, err := e.ImageInspect(ctx, h.ID)
	if isNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, e.failed(err, "look at image %s", h.Name)
	}
	if info.Config == nil || info.Config.Labels[labelDerivation] == "" || lastUsed(info).After(h.Used) {
		return false, nil
	}
	unlock, free := b.tryBuildLock(info.Config.Labels[labelDerivation])
	if !free {
		return false, nil
	}
	defer unlock()
	names := slices.DeleteFunc(info.RepoTags, func(tag string) bool { return !named(tag) })
	if slices.ContainsFunc(names, func(tag string) bool { return !ours(tag) }) {
		return false, nil // somebody has given it a name of his own
	}
	if len(names) == 0 {
		names = []string{h.ID}
	}
	for _, name := range names {
		if _, err = e.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true}); err != nil && !isNotFound(err) {
			break
		}
	}
	if isConflict(err) {
		return false, nil
	}
	if err != nil && !isNotFound(err) {
		return false, e.failed(err, "remove image %s", h.Name)
	}
	if _, err := e.ImageInspect(ctx, h.ID); !isNotFound(err) {
		return false, nil // it has lost its name, and stays for what is built on it
	}
	err = os.Remove(b.buildLockPath(info.Config.Labels[labelDerivation]))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return true, err
}
