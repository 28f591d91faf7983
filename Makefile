STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: test lint bench fuzz

test:
	go test -race ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

bench:
	go run ./cmd/bugle bench

# Each fuzz target for a few seconds; FUZZTIME=10m for more.
FUZZTIME ?= 5s
fuzz:
	@for package in $$(go list ./...); do \
	    for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	        echo "$$package $$target"; \
	        go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	    done; \
	done
