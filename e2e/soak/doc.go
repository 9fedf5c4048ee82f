// Package soak has campaigns of bad days against the real binary and a real engine:
// few of each in make test, many in make soak. docs/RELIABILITY.md has the figures.
//
//	go test ./e2e/soak -run Wherry -kills 300 -v        kill -9 of wherry
//	go test ./e2e/soak -run Engine -engine.kills 20 -v  kill -9 of the engine, and of both
//
// The engine that is killed is one that the second campaign starts for itself.
package soak
