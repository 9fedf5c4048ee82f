// Package metrics reads what a trial says of itself while it runs: bytes in,
// observations out. It knows no engine, no database and no experiment.
//
//	log lines ──────────────── Text ┐
//	file ───────── Follow ──── Text, JSON ├─ Collector ─ Sink (the tuner)
//	folder ─────── FollowTree ─ Events ┤      │
//	/metrics ───── Scrape ──────────── ┤      ├ counts, positions: what a crash needs
//	HTTP, API ──── Collector.Push ──── ┘      └ what else was seen: UnavailableError
//
// The collectors of Katib, by their kind:
//
//	StdOut           Text, fed with the lines of the primary container, both streams: Katib
//	                 redirects both (pkg/webhook/v1beta1/pod/inject_webhook.go)
//	File             Follow with Text (format TEXT) or JSON (format JSON)
//	TensorFlowEvent  FollowTree, which makes an Events for each event file
//	PrometheusMetric Scrape
//	Custom           Text, fed with what the sidecar container prints
//	Push             Collector.Push
//	None             nothing: somebody else reports
//
// A Collector takes only the metrics that an experiment names. NaN and the
// infinities are values like any other here; what they mean for an experiment is
// the tuner's to say. See Summary for what they do to a minimum.
//
// Start at NewCollector.
package metrics
