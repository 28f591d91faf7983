STATICCHECK = go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: test lint bench release screenshots fuzz fuzz-expression fuzz-twig fuzz-others

test:
	go test -race -gcflags='modernc.org/...=-race=false' -gcflags='golang.org/x/...=-race=false' ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	$(STATICCHECK) ./...

bench:
	go run ./cmd/bugle bench

# make release VERSION=1.2.3: everything that is published, in dist.
release:
	deploy/release $(VERSION)

# The pictures of the documents, by Chromium.
screenshots:
	BUGLE_SCREENSHOTS=$(CURDIR)/docs/screenshots go test ./cmd/bugle -count 1 -run '^TestScreenshots$$'

# Each fuzz target for a few seconds; FUZZTIME=10m for more, FUZZFLAGS for flags of the test binary.
FUZZTIME ?= 5s
fuzz: fuzz-expression fuzz-twig fuzz-others

fuzz-expression fuzz-twig: fuzz-%:
	.ci/fuzz $(FUZZTIME) ./$*

fuzz-others:
	.ci/fuzz $(FUZZTIME) $$(go list ./... | grep -vE '/(expression|twig)$$')
