// Package e2e drives the real binary on a real engine. It holds only tests.
//
//	TestScript ── testdata/script/<command>_<behaviour>.txtar, each with a WHERRY_HOME of its own
//	                 │
//	              commands (commands_test.go): exit codes, background processes, JSON, faults
//
// Start reading at TestScript and a script, such as run_document.txtar.
package e2e
