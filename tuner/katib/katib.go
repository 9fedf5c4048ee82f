package katib

import (
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/wherry-ml/wherry/dag/podspec"
	"github.com/wherry-ml/wherry/dag/source"
	"github.com/wherry-ml/wherry/runner"
	"github.com/wherry-ml/wherry/tuner"
	"github.com/wherry-ml/wherry/tuner/metrics"
	"github.com/wherry-ml/wherry/tuner/suggest"
)

// Sniff reports whether doc is for Read.
func Sniff(doc *yaml.Node) bool {
	kind := field(doc, "kind")
	return strings.HasPrefix(field(doc, "apiVersion"), "kubeflow.org/") && (kind == "Experiment" || kind == "Suggestion")
}

func field(n *yaml.Node, name string) string {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name && n.Content[i+1].Kind == yaml.ScalarNode {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// Read translates an Experiment or a Suggestion. Its template is nil where the file has
// none; else Template reads it. Every error is a *source.Error.
func Read(f *source.File, doc *yaml.Node) (e *tuner.Experiment, template *yaml.Node, err error) {
	var d document
	if err := f.Decode(doc, &d); err != nil {
		return nil, nil, err
	}
	r := &reader{f: f, d: &d, e: &tuner.Experiment{File: f.Name, State: tuner.Created}}
	if err := r.read(); err != nil {
		return nil, nil, err
	}
	return r.e, d.Spec.TrialTemplate, nil
}

type reader struct {
	f *source.File
	d *document
	e *tuner.Experiment
}

func (r *reader) errorf(pos source.Pos, format string, args ...any) *source.Error {
	return r.f.Errorf(pos, format, args...)
}

func (r *reader) read() error {
	s := r.d.Spec
	if s == nil {
		return r.errorf(r.d.Pos, "the %s has no spec", r.d.Kind.S)
	}
	r.e.Name = r.d.Metadata.Name.S
	if r.e.Name == "" {
		r.e.Name = strings.TrimSuffix(r.d.Metadata.GenerateName.S, "-")
	}
	if r.e.Name == "" {
		return r.errorf(r.d.Pos, "the %s has no metadata.name", r.d.Kind.S)
	}
	for _, part := range []func(*spec) error{r.algorithm, r.objective, r.parameters, r.counts, r.collector} {
		if err := part(s); err != nil {
			return err
		}
	}
	if s.NASConfig != nil {
		return r.errorf(source.PosOf(s.NASConfig), "nasConfig is for enas and darts, which are not to be had here")
	}
	return nil
}

// algorithm reads the algorithm, of an Experiment or of a Suggestion, and makes it
// once: that checks its name and settings.
func (r *reader) algorithm(s *spec) error {
	a := s.Algorithm
	if a == nil && s.AlgorithmName.Set {
		a = &algorithm{Name: s.AlgorithmName, Settings: s.AlgorithmSettings, Pos: s.AlgorithmName.Pos}
	}
	if a == nil {
		return r.errorf(s.Pos, "there is no algorithm").WithMend("algorithm: {algorithmName: random}, or another: %s", strings.Join(suggest.Names(), ", "))
	}
	r.e.Algorithm = tuner.Algorithm{Name: a.Name.S, Settings: settingsOf(a.Settings)}
	if _, err := suggest.New(r.e.Algorithm.Name, r.e.Algorithm.Settings); err != nil {
		return r.algorithmError(err, a)
	}
	h := fnv.New64a() // a file's trials are the same each time, as a random_state would make them
	_, _ = h.Write([]byte(r.e.Name))
	r.e.Seed = h.Sum64()
	if s.EarlyStopping == nil {
		return nil
	}
	a = s.EarlyStopping
	r.e.Stopping = &tuner.Algorithm{Name: a.Name.S, Settings: settingsOf(a.Settings)}
	if _, err := suggest.NewStopper(r.e.Stopping.Name, r.e.Stopping.Settings); err != nil {
		return r.algorithmError(err, a)
	}
	return nil
}

func settingsOf(list []*setting) []suggest.Setting {
	var out []suggest.Setting
	for _, s := range list {
		out = append(out, suggest.Setting{Name: s.Name.S, Value: s.Value.S})
	}
	return out
}

// algorithmError is an error of suggest at its place in the file.
func (r *reader) algorithmError(err error, a *algorithm) error {
	if e, ok := errors.AsType[*suggest.SettingError](err); ok {
		for _, s := range a.Settings {
			if s.Name.S == e.Name || strings.EqualFold(strings.ReplaceAll(s.Name.S, "_", ""), strings.ReplaceAll(e.Name, "_", "")) {
				return r.errorf(s.Name.Pos, "%v", err)
			}
		}
	}
	x := r.errorf(a.Name.Pos, "%v", err)
	if n := source.Nearest(a.Name.S, suggest.Names()); n != "" && is[*suggest.UnknownError](err) {
		return x.WithMend("did you mean %q?", n)
	}
	return x
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func (r *reader) objective(s *spec) error {
	o := s.Objective
	if o == nil {
		return r.errorf(s.Pos, "there is no objective").WithMend("objective: {type: maximize, objectiveMetricName: accuracy}")
	}
	if o.Metric.S == "" {
		return r.errorf(o.Pos, "the objective has no objectiveMetricName")
	}
	out := tuner.Objective{Metric: o.Metric.S, Maximize: o.Type.S == "maximize"}
	if o.Type.S != "maximize" && o.Type.S != "minimize" {
		return r.errorf(o.Type.Pos, "the objective's type is minimize or maximize, not %q", o.Type.S)
	}
	if o.Goal.Set {
		v, err := strconv.ParseFloat(o.Goal.S, 64)
		if err != nil || math.IsNaN(v) {
			return r.errorf(o.Goal.Pos, "the goal must be a number, not %q", o.Goal.S)
		}
		out.Goal = &v
	}
	r.e.Objectives = []tuner.Objective{out}
	for _, a := range o.Additional {
		if a.S == o.Metric.S {
			return r.errorf(a.Pos, "%s is the objective's metric already", a.S)
		}
		r.e.Additional = append(r.e.Additional, a.S)
	}
	for _, m := range o.Strategies {
		x := metrics.Strategy(m.Value.S)
		if !slices.Contains([]metrics.Strategy{metrics.Min, metrics.Max, metrics.Latest}, x) {
			return r.errorf(m.Value.Pos, "a metric strategy is min, max or latest, not %q", m.Value.S)
		}
		if !slices.Contains(r.e.Metrics(), m.Name.S) {
			return r.errorf(m.Name.Pos, "metricStrategies: %q is none of the experiment's metrics: %s", m.Name.S, strings.Join(r.e.Metrics(), ", "))
		}
		r.e.Strategies = append(r.e.Strategies, tuner.Strategy{Metric: m.Name.S, Extract: x})
	}
	return nil
}

func (r *reader) parameters(s *spec) error {
	seen := map[string]bool{}
	for _, p := range s.Parameters {
		if p.Name.S == "" {
			return r.errorf(p.Pos, "a parameter has no name")
		}
		if seen[p.Name.S] {
			return r.errorf(p.Name.Pos, "two parameters are called %q", p.Name.S)
		}
		seen[p.Name.S] = true
		out, err := r.parameter(p)
		if err != nil {
			return err
		}
		r.e.Parameters = append(r.e.Parameters, out)
	}
	if len(s.Parameters) == 0 {
		return r.errorf(s.Pos, "there are no parameters to search")
	}
	return nil
}

var kinds = map[string]suggest.Kind{"double": suggest.Double, "int": suggest.Int, "discrete": suggest.Discrete, "categorical": suggest.Categorical}

var distributions = map[string]suggest.Distribution{
	"": suggest.Uniform, "uniform": suggest.Uniform, "logUniform": suggest.LogUniform, "normal": suggest.Normal, "logNormal": suggest.LogNormal,
}

func (r *reader) parameter(p *parameter) (tuner.Parameter, error) {
	out := tuner.Parameter{Name: p.Name.S}
	kind, ok := kinds[p.Type.S]
	if !ok {
		return out, r.errorf(p.Type.Pos, "parameter %q: parameterType is double, int, discrete or categorical, not %q", p.Name.S, p.Type.S)
	}
	out.Kind = kind
	fs := p.Space
	if fs == nil {
		return out, r.errorf(p.Pos, "parameter %q has no feasibleSpace", p.Name.S)
	}
	if out.Distribution, ok = distributions[fs.Distribution.S]; !ok {
		return out, r.errorf(fs.Distribution.Pos, "parameter %q: the distribution is uniform, logUniform, normal or logNormal, not %q", p.Name.S, fs.Distribution.S)
	}
	at := p.Pos
	if kind == suggest.Discrete || kind == suggest.Categorical {
		for _, v := range fs.List {
			out.List, at = append(out.List, v.S), v.Pos
		}
		if fs.Min.Set || fs.Max.Set {
			return out, r.errorf(fs.Min.Pos, "parameter %q: a %s parameter has a list, no min and max", p.Name.S, p.Type.S)
		}
	} else {
		for _, b := range []struct {
			name string
			text text
			to   *float64
			must bool
		}{{"min", fs.Min, &out.Min, true}, {"max", fs.Max, &out.Max, true}, {"step", fs.Step, &out.Step, false}} {
			if !b.text.Set || b.text.S == "" && !b.must {
				if b.must {
					return out, r.errorf(p.Pos, "parameter %q has no %s", p.Name.S, b.name)
				}
				continue
			}
			v, err := strconv.ParseFloat(b.text.S, 64)
			if err != nil {
				return out, r.errorf(b.text.Pos, "parameter %q: %s is %q, which is not a number", p.Name.S, b.name, b.text.S)
			}
			*b.to, at = v, b.text.Pos
		}
		if len(fs.List) > 0 {
			return out, r.errorf(fs.List[0].Pos, "parameter %q: a %s parameter has min and max, no list", p.Name.S, p.Type.S)
		}
	}
	if err := tuner.CheckParameter(&out); err != nil {
		return out, r.errorf(at, "parameter %v", err)
	}
	return out, nil
}

func (r *reader) counts(s *spec) error {
	count := func(name string, x text, low, def int) (int, error) {
		if !x.Set {
			return def, nil
		}
		n, err := strconv.Atoi(x.S)
		if err != nil || n < low {
			return 0, r.errorf(x.Pos, "%s must be a whole number of at least %d, not %q", name, low, x.S)
		}
		return n, nil
	}
	var err error
	if r.e.Parallel, err = count("parallelTrialCount", s.Parallel, 1, 3); err != nil {
		return err
	}
	if r.e.MaxTrials, err = count("maxTrialCount", s.MaxTrials, 1, 0); err != nil {
		return err
	}
	failed, err := count("maxFailedTrialCount", s.MaxFailed, 0, 0)
	if err != nil {
		return err
	}
	if s.MaxFailed.Set {
		r.e.MaxFailed = &failed // Katib refuses more than maxTrialCount; here that only means that all may fail
	}
	r.e.ResumePolicy = tuner.ResumePolicy(s.ResumePolicy.S)
	switch r.e.ResumePolicy {
	case "":
		r.e.ResumePolicy = tuner.ResumeNever
	case tuner.ResumeNever, tuner.ResumeLongRunning, tuner.ResumeFromVolume:
	default:
		return r.errorf(s.ResumePolicy.Pos, "resumePolicy is Never, LongRunning or FromVolume, not %q", s.ResumePolicy.S)
	}
	return nil
}

// Katib's default places.
const (
	defaultFile   = "/var/log/katib/metrics.log"
	defaultEvents = "/var/log/katib/tfevent/"
)

func (r *reader) collector(s *spec) error {
	c := &r.e.Collector
	c.Kind = tuner.StdOut
	if r.d.Kind.S == "Suggestion" { // its trials come from elsewhere, and so may say name: value
		c.Kind = tuner.Outputs
	}
	m := s.MetricsCollector
	if m == nil {
		return nil
	}
	if m.Collector != nil && m.Collector.Kind.Set {
		c.Kind = tuner.CollectorKind(m.Collector.Kind.S)
	}
	switch c.Kind {
	case tuner.StdOut, tuner.NoCollector, tuner.Push, tuner.Outputs:
	case tuner.File:
		c.Path = defaultFile
	case tuner.TensorFlowEvent:
		c.Path = defaultEvents
	case tuner.Prometheus:
		c.Path, c.Port = "/metrics", 8080
	case tuner.Custom:
		if m.Collector.CustomCollector == nil {
			return r.errorf(m.Collector.Kind.Pos, "a Custom collector needs customCollector, its container")
		}
		return r.custom(m)
	default:
		return r.errorf(m.Collector.Kind.Pos, "collector %q: there are StdOut, File, TensorFlowEvent, PrometheusMetric, Push and None", c.Kind)
	}
	return r.collectorSource(m.Source, c)
}

// custom reads a collector of one's own: a container beside the trial's. On a cluster it
// writes to Katib's database service; here what it prints are the metrics, as lines
// name=value, and it sees the folder of the metrics file.
func (r *reader) custom(m *collector) error {
	n := m.Collector.CustomCollector
	spec := mapping(n, word(n, "containers"), &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{n}, Line: n.Line, Column: n.Column})
	res, err := podspec.Read(r.f, spec, podspec.Options{})
	if err != nil {
		return err
	}
	c := res.Pod.Containers[0]
	if c.Name == "" {
		c.Name = "metrics-collector"
	}
	c.Role = runner.Sidecar
	r.e.Collector.Sidecar = &c
	r.e.Notes = append(r.e.Notes, "the custom collector's own lines name=value are the metrics here: there is no Katib database to write to")
	return r.collectorSource(m.Source, &r.e.Collector)
}

func (r *reader) collectorSource(s *collectorSource, c *tuner.Collector) error {
	if s == nil {
		return nil
	}
	if p := s.FileSystemPath; p != nil {
		if !strings.HasPrefix(p.Path.S, "/") {
			return r.errorf(p.Path.Pos, "the path of the metrics must be absolute, not %q", p.Path.S)
		}
		c.Path = p.Path.S
		switch p.Format.S {
		case "", "TEXT":
		case "JSON":
			c.JSON = true
		default:
			return r.errorf(p.Format.Pos, "the format of the metrics file is TEXT or JSON, not %q", p.Format.S)
		}
	}
	if h := s.HTTPGet; h != nil {
		if h.Path.Set {
			c.Path = h.Path.S
		}
		if h.Port.Set {
			n, err := strconv.Atoi(h.Port.S)
			if err != nil || n < 1 || n > 65535 {
				return r.errorf(h.Port.Pos, "the port must be a number from 1 to 65535, not %q", h.Port.S)
			}
			c.Port = n
		}
	}
	if s.Filter != nil {
		for _, x := range s.Filter.MetricsFormat {
			c.Filters = append(c.Filters, x.S)
			if _, err := metrics.NewText(metrics.NewCollector(nil, nil), metrics.TextOptions{Filters: []string{x.S}}); err != nil {
				return r.errorf(x.Pos, "%v", err)
			}
		}
	}
	return nil
}
