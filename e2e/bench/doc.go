// Package bench measures what is promised about speed and size: every
// figure beside its limit and beside the floor that no runner can go below on
// this machine, taken in the same minute.
//
//	make bench ── go test -bench ──┬─ engine_test.go  wherry run <> the same calls by hand
//	                               ├─ read_test.go    1,000 tasks: read, validate, plan
//	                               ├─ process_test.go start of the binary, its memory
//	                               ├─ sqlite_test.go  lineage, transitions, commits
//	                               ├─ cached_test.go  1,000 tasks, all cached <> DVC, ninja
//	                               ├─ hash_linux_test.go  hashing <> sha256 and reading alone
//	                               ├─ watch_test.go   from a save to a container; 10,000 files
//	                               └─ table_test.go   one table at the end
//
// A machine is never quiet, so what can be a ratio is one: both sides are
// measured in turn, in alternating order, and the median of the pairs counts.
//
// Environment: WHERRY_BENCH_STRICT=1 makes a limit that does not hold, and an
// engine that is not there, a failure. WHERRY_BENCH_BINARY measures another
// binary, for a before and after. WHERRY_BENCH_IMAGE (python:3.11-slim) needs
// nothing but a shell. WHERRY_BENCH_PEERS is where scripts/peers-env.sh has put DVC.
// WHERRY_BENCH_PAIRS (5) is how often each ratio is taken.
package bench
