package docker

import (
	"context"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/wherry-ml/wherry/runner"
)

// observe asks the engine for all containers of a pod.
func (b *Backend) observe(ctx context.Context, e *engine, pod string) (view, error) {
	list, err := e.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", runner.LabelPod+"="+pod)),
	})
	if err != nil {
		return view{}, e.failed(err, "look for pod %s", pod)
	}
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return b.inspect(ctx, e, pod, ids)
}

// inspect asks for containers by id or name; those that are gone are left out.
func (b *Backend) inspect(ctx context.Context, e *engine, pod string, ids []string) (view, error) {
	var units []unit
	life := ""
	for _, id := range ids {
		c, err := e.ContainerInspect(ctx, id)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return view{}, e.failed(err, "inspect pod %s", pod)
		}
		u := unitOf(c)
		if u.labels[runner.LabelPod] != pod {
			continue
		}
		if u.maybeOOM() && b.stoppedAt(pod).IsZero() {
			u = e.settled(ctx, u)
		}
		if u.code != 0 && life == "" {
			life = e.life(ctx)
		}
		units = append(units, u)
	}
	return newView(units, facts{now: time.Now(), life: life, stopped: b.stoppedAt(pod)}), nil
}

// maybeOOM reports whether the container was killed under a memory limit and the
// engine does not say that it was for memory.
func (u unit) maybeOOM() bool {
	return u.code == 137 && u.memory > 0 && !u.oom && !u.running()
}

// settled looks again for a moment: the engine learns of an end and of its cause
// by different messages, in either order.
func (e *engine) settled(ctx context.Context, u unit) unit {
	for range 6 {
		select {
		case <-ctx.Done():
			return u
		case <-time.After(50 * time.Millisecond):
		}
		c, err := e.ContainerInspect(ctx, u.id)
		if err != nil {
			return u
		}
		if u = unitOf(c); !u.maybeOOM() {
			return u
		}
	}
	return u
}

// ensureGangNetwork makes the network that the pods of a gang share.
func (b *Backend) ensureGangNetwork(ctx context.Context, e *engine, p runner.Pod) error {
	if p.Network.Gang == "" || p.Network.Mode == runner.NetworkNone {
		return nil
	}
	net := gangNetwork(b.cfg.Home, p.Network.Gang)
	if _, err := e.NetworkInspect(ctx, net, network.InspectOptions{}); err == nil || !isNotFound(err) {
		return e.failed(err, "look for network %s", net)
	}
	_, err := e.NetworkCreate(ctx, net, network.CreateOptions{
		Driver: "bridge", Labels: map[string]string{runner.LabelHome: b.cfg.Home, labelGang: p.Network.Gang},
	})
	if isConflict(err) {
		return nil
	}
	return e.failed(err, "create network %s", net)
}
