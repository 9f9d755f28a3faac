# `make` alone lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help build image run test race lint fuzz sim torture strikes reference compare performance pictures release ci clean

FUZZSECONDS ?= 600
SIMTIME ?= 60m

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

build: ## build ./bin/disqo, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

image: build ## build the image disqo from ./bin/disqo
	docker build -t disqo -f Dockerfile.prebuilt .

run: ## run a broker on port 7711
	go run ./cmd/disqo

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector
	go test -race ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags planted,invariants ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags planted,invariants ./...

fuzz: ## fuzz every target for FUZZSECONDS (600)
	bash .ci/fuzz $(FUZZSECONDS)

sim: build ## simulate clusters for SIMTIME (60m) on all processors, and add the cluster-hours to the record
	bin/disqo-bench sim -for $(SIMTIME) -record server/sim/hours.tsv

torture: build ## the long runs: every crash state, 200 histories, 100,000 moves, 200 kills, 10 million jobs, a cluster under fire (an hour, 8 GiB, root)
	go test ./aof -v -crash.full -timeout 60m
	go test ./server/torture -v -run Linearizable -linear.runs 200 -timeout 60m
	go test ./server/node -v -run RewriteHolds -holds.jobs 10000000
	go test ./store -run RandomMoves -moves.seeds 100000 -timeout 60m
	bin/disqo-bench torture kill -server bin/disqo -cycles 200
	$(MAKE) strikes

strikes: build ## part, kill, freeze and restart the nodes of a cluster for a quarter of an hour, and see who stops whom (root)
	bin/disqo-bench torture cluster -server bin/disqo
	bin/disqo-bench torture cluster -server bin/disqo -faults restart -directives "--cluster-protected-mode no --protected-mode no --cluster-node-timeout 2000 --appendonly yes"
	bin/disqo-bench torture cluster -server bin/disqo -probe

reference: ## run the reference's own test suite on our binary; DISQUE_SRC=path/to/disque, or it is cloned
	bash .ci/reference

compare: build ## measure side by side with AGAINST=reference:disque=path/to/disque-server,list,stream,beanstalkd
	bin/disqo-bench compare -server bin/disqo -against "$(AGAINST)" -parts throughput,memory,delivery,recovery

performance: build ## measure what docs/performance.md shows, and write it there; AGAINST as above; an hour and a half
	bash .ci/performance "$(AGAINST)"

pictures: ## take the pictures in docs/dashboard, of a cluster that was at work for a quarter of an hour
	go test ./server/browser -v -run Looks -pictures $(CURDIR)/docs/dashboard -lead 16m -timeout 30m

release: ## make archives for all systems, or TARGETS, in ./dist, the same bytes wherever it is done, with sums and a list of what is in them
	bash .ci/release dist $(TARGETS)

ci: ## everything a change has to pass
	bash .ci/run

clean: ## remove what was built, and the fuzz and test caches
	rm -rf bin dist
	go clean -testcache -fuzzcache
