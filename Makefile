# `make` alone lists what there is to make.
.DEFAULT_GOAL := help
.PHONY: help build run test race lint fuzz ci clean

FUZZSECONDS ?= 600

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-6s %s\n", $$1, $$2 }'

build: ## build ./bin/disqo, static
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

run: ## run a broker on port 7711
	go run ./cmd/disqo

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector
	go test -race ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fuzz: ## fuzz every target for FUZZSECONDS (600)
	bash .ci/fuzz $(FUZZSECONDS)

ci: ## everything a change has to pass
	bash .ci/run

clean: ## remove what was built, and the fuzz and test caches
	rm -rf bin
	go clean -testcache -fuzzcache
