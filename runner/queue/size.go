package queue

import (
	"fmt"
	"strings"

	"github.com/wherry-ml/wherry/runner"
)

// OversizedError says that a request can never be granted on this machine.
type OversizedError struct {
	Backend string
	Figures []Figure // those that are too large
}

// Figure is how much was asked for and how much there is.
type Figure struct {
	What       string // "CPU", "memory", "GPU"
	Asked, Has string // "16", "4 GiB"
}

func (e *OversizedError) Error() string {
	parts := make([]string, len(e.Figures))
	for i, f := range e.Figures {
		parts[i] = fmt.Sprintf("%s %s (there is %s)", f.Asked, f.What, f.Has)
	}
	return fmt.Sprintf("asks for more than the %s backend has: %s", e.Backend, strings.Join(parts, ", "))
}

// Hint says what to do next.
func (e *OversizedError) Hint() string {
	return "lower the request to what this machine has, or give the engine more (Docker Desktop and Colima: settings of the virtual machine)"
}

// Fits returns an *OversizedError for a request that is larger than the whole
// capacity. A GPU where there is none is passed over, see Clamp.
func (q *Queue) Fits(res runner.Resources) error {
	t := total(q.capacity)
	e := &OversizedError{Backend: q.backend}
	asked := amount{res.CPU, res.Memory, int64(res.GPU)}
	for k := range kinds {
		if t[k] < 0 || asked[k] <= t[k] || k == gpu && t[k] == 0 {
			continue
		}
		f := Figure{What: k.String(), Asked: k.figure(asked[k]), Has: k.figure(t[k])}
		if f.Asked == f.Has { // by rounding
			f.Asked, f.Has = fmt.Sprintf("%d bytes", asked[k]), fmt.Sprintf("%d bytes", t[k])
		}
		e.Figures = append(e.Figures, f)
	}
	if len(e.Figures) > 0 {
		return e
	}
	return nil
}

// Clamp lowers limits to the capacity and sets GPU to 0 where there is none. The
// notes name what it changed; that of the GPU comes once in the life of q.
func (q *Queue) Clamp(res runner.Resources) (runner.Resources, []string) {
	var notes []string
	t := total(q.capacity)
	clamp := func(k kind, limit *int64) {
		if t[k] >= 0 && *limit > t[k] {
			notes = append(notes, fmt.Sprintf("%s limit %s is lowered to %s, all that the %s backend has",
				k, k.figure(*limit), k.figure(t[k]), q.backend))
			*limit = t[k]
		}
	}
	clamp(cpu, &res.CPULimit)
	clamp(memory, &res.MemoryLimit)
	if res.GPU > 0 && len(q.capacity.GPUs) == 0 {
		q.gpuNamed.Do(func() {
			notes = append(notes, fmt.Sprintf("the %s backend has no GPU: what asks for one runs without", q.backend))
		})
		res.GPU, res.Devices = 0, nil
	}
	return res, notes
}

// explain says what a request for want waits for: "waits for 2 CPU: 4 of 4 in
// use by 3 pods".
func (r *room) explain(want amount) string {
	var parts []string
	for k := range kinds {
		if r.blocks(k, want[k]) {
			parts = append(parts, r.explainKind(k, want[k]))
		}
	}
	if len(parts) == 0 { // fewer devices than GPUs: the capacity has changed
		parts = append(parts, fmt.Sprintf("%d GPU: %d free", want[gpu], len(r.devices)))
	}
	return "waits for " + strings.Join(parts, "; ")
}

func (r *room) explainKind(k kind, want int64) string {
	has := k.figure(r.total[k])
	var why []string
	if r.used[k] > 0 {
		why = append(why, fmt.Sprintf("%s of %s in use by %s", k.figure(r.used[k]), has, plural(r.users[k], "pod")))
	}
	if r.kept[k] > 0 {
		of := ""
		if len(why) == 0 {
			of = " of " + has
		}
		why = append(why, fmt.Sprintf("%s%s kept for %s ahead", k.figure(r.kept[k]), of, plural(r.keepers[k], "request")))
	}
	return fmt.Sprintf("%s %s: %s", k.figure(want), k, strings.Join(why, ", "))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (k kind) String() string {
	return [...]string{"CPU", "memory", "GPU", "places"}[k]
}

// figure writes n of k as people do: "0.5", "4 GiB".
func (k kind) figure(n int64) string {
	switch k {
	case cpu:
		return trim(float64(n)/1000, 3)
	case memory:
		unit, units := float64(1), []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
		i := 0
		for ; float64(n) >= unit*1024 && i < len(units)-1; i++ {
			unit *= 1024
		}
		return trim(float64(n)/unit, 1) + " " + units[i]
	}
	return fmt.Sprint(n)
}

func trim(f float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, f)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
