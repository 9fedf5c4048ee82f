package docker

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// Capacity returns the engine's CPUs, memory and GPUs. Pods is four for each
// CPU: more containers at once only wait for each other.
func (b *Backend) Capacity(ctx context.Context) (runner.Capacity, error) {
	e, err := b.connect.engine(ctx)
	if err != nil {
		return runner.Capacity{}, err
	}
	info, err := e.about(ctx)
	if err != nil {
		return runner.Capacity{}, err
	}
	gpus, err := e.gpus(ctx)
	return runner.Capacity{
		CPU: int64(info.NCPU) * 1000, Memory: info.MemTotal, GPUs: gpus, Pods: max(4, 4*info.NCPU),
	}, err
}

// gpus returns the ids of the GPUs that containers can be given: none where the
// engine has no NVIDIA runtime.
func (e *engine) gpus(ctx context.Context) ([]string, error) {
	info, err := e.about(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := info.Runtimes["nvidia"]; !ok && !hasCDI(info.CDISpecDirs) {
		return nil, nil
	}
	if !e.end.local() {
		return nil, nil // nobody to ask for the ids
	}
	return localGPUs(ctx), nil
}

func hasCDI(dirs []string) bool {
	for _, dir := range dirs {
		if found, _ := filepath.Glob(filepath.Join(dir, "nvidia*")); len(found) > 0 {
			return true
		}
	}
	return false
}

// localGPUs asks the driver's tool, else the driver itself.
func localGPUs(ctx context.Context) (ids []string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader").Output()
	if err == nil {
		return strings.Fields(string(out))
	}
	files, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for line := range strings.Lines(string(data)) {
			if id, ok := strings.CutPrefix(line, "GPU UUID:"); ok {
				ids = append(ids, strings.TrimSpace(id))
			}
		}
	}
	return ids
}
