# `make` alone lists what there is.
GO ?= go
export CGO_ENABLED ?= 1

.PHONY: properties soak valkey help test setup lint build demo bench fuzz torture

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

test: setup lint ## everything that must pass before a change lands (sets up what it needs)
	RAPID_CHECKS=12 $(GO) test -race -timeout 25m ./cmd/lookout ./flows/triage ./... # the longest first

setup: ## install what the tests need and is not here (apt-get)
	@.ci/setup

lint: ## format, vet, staticcheck
	@test -z "$$(gofmt -l bot channels cmd content flows scheduler)" || { echo "not formatted:"; gofmt -l bot channels cmd content flows scheduler; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

build: ## the one binary, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/lookout ./cmd/lookout

demo: ## everything on this machine, with made-up patients
	$(GO) run ./cmd/lookout demo

bench: ## the benchmarks
	$(GO) test -run xxx -bench . -benchmem ./...

fuzz: ## each fuzz target for a minute
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	  echo "== $$p $$f"; $(GO) test -run xxx -fuzz "^$$f\$$" -fuzztime 60s $$p || exit 1; done; done

properties: ## the properties of flows, plans and the whole engine, 1,000 times each
	RAPID_CHECKS=1000 $(GO) test -timeout 120m ./flows ./content ./bot ./bot/simulate

soak: ## (needs 50,000 open files) 20,000 idle and 500 writing pages over three restarts, with a plain echo server beside them
	SOAK_IDLE=20000 SOAK_CHATTING=500 SOAK_SAYS=20 SOAK_RESTARTS=3 $(GO) test -run TestChatSoak -v -timeout 60m ./cmd/lookout

torture: ## kill, pause, cut, slow, fill and fail over, 200 times on each store; TORTURE_SEED=N replays
	TORTURE_SEED=$${TORTURE_SEED:-$$(date +%s)} TORTURE_ROUNDS=$${TORTURE_ROUNDS:-200} $(GO) test -run TestTorture -v -timeout 120m ./cmd/lookout

valkey: ## the tests of several machines on Valkey (needs valkey-server, of bookworm-backports)
	@command -v valkey-server >/dev/null || { echo "install valkey-server (Debian: bookworm-backports)" >&2; exit 1; }
	REDIS_SERVER=valkey-server $(GO) test -race ./bot/redisstore
	REDIS_SERVER=valkey-server TORTURE_ROUNDS=$${TORTURE_ROUNDS:-16} $(GO) test -run 'TestTorture/(Redis|Cluster)$$' -v -timeout 60m ./cmd/lookout
