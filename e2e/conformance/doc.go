// Package conformance runs other people's compiled pipelines, and the shared data's
// own, through the real binary on a real engine, and compares what they give with
// what is known of them. It holds only tests; `make conformance` prints their table.
//
//	shared/kfp/suite/index.tsv ──┐
//	                             ├── a place (place_test.go) ── wherry run -o json ── document ── compare ── table
//	shared/kfp/own/expected.json ┘    the file, and a wherry.yaml that says what image names mean here
//
// Katib's examples (shared/conformance/katib) run as experiments, with the counts and
// checks of Katib's own end-to-end test: TestKatib.
//
// Start reading at TestSuite and TestOwn. docs/CONFORMANCE.md says what counts.
package conformance
