GO ?= go
export GO

# Where goroutines share state; elsewhere the race detector only costs time.
RACE := ./dag ./dag/kfp/sdk ./tuner ./tuner/metrics ./runner/queue/... ./sqlite/... ./artifact/...
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: toolchain ## bin/wherry
	CGO_ENABLED=1 $(GO) build -o bin/wherry ./cmd/wherry

.PHONY: demo
demo: build ## train a recommendation model, end to end
	@scripts/demo.sh

.PHONY: test
test: toolchain images kfp servers crosscheck ## all tests, on a real engine
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $(RACE)
	cd e2e/conformance && CGO_ENABLED=1 $(GO) test -timeout 30m
	CGO_ENABLED=1 $(GO) test -timeout 15m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(RACE) ./e2e/conformance)")

.PHONY: conformance
conformance: toolchain images ## every compiled pipeline at hand, compared with what is known of it
	cd e2e/conformance && CGO_ENABLED=1 $(GO) test -timeout 30m

.PHONY: bench
bench: build images ## speed and size, as ratios measured in one run, kfp.local, DVC and ninja beside us; the tuner beside other libraries
	@scripts/kfp-env.sh --local
	@scripts/peers-env.sh
	CGO_ENABLED=1 $(GO) test -timeout 90m -run='^$$' -bench=. -benchtime=1x ./e2e/bench/
	CGO_ENABLED=1 $(GO) test -timeout 90m -run "TestGates|TestParallel|TestLatency" -gate.full -v ./tuner/suggest

.PHONY: soak
soak: toolchain images ## long campaigns: 10,000 simulated schedules, 300 kill -9 of wherry, 20 of an engine, gigabytes
	CGO_ENABLED=1 $(GO) test -timeout 30m ./dag -run TestSimulation -sim.seeds 10000 -v
	CGO_ENABLED=1 $(GO) test -timeout 90m ./e2e/soak -kills 300 -engine.kills 20 -v
	CGO_ENABLED=1 $(GO) test -timeout 60m ./e2e/conformance -run 'TestLarge|TestSuite/valid/long-running' -long -v

.PHONY: lint
lint: toolchain ## gofmt, go vet, staticcheck, and shellcheck where it is installed
	@files=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); [ -z "$$files" ] || { echo "not gofmt'ed:" $$files; exit 1; }
	$(GO) vet ./...
	cd tools && GOBIN=$(CURDIR)/bin $(GO) install tool
	bin/staticcheck ./...
	@if command -v shellcheck >/dev/null; then shellcheck -x scripts/*.sh .ci/run; \
	else echo "shellcheck is not installed: the scripts were not checked"; fi

.PHONY: crosscheck
crosscheck: toolchain ## type-check for linux and darwin, amd64 and arm64, without cgo
	@for p in $(PLATFORMS); do \
		echo "go vet for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./... || exit 1; \
	done

# What the targets above need first.

.PHONY: toolchain
toolchain:
	@scripts/toolchain.sh

.PHONY: images
images:
	@scripts/engine.sh
	@scripts/base-image.sh --test

.PHONY: kfp
kfp:
	@scripts/kfp-env.sh

.PHONY: servers
servers: toolchain
	@scripts/servers.sh
