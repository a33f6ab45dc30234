# Everything a user or CI does with Leveret. `make help` lists it.
#
# Only the release profile is used, and every target exports the same compiler settings: RocksDB (343 C++ files, by far
# the longest part of a build) is then compiled once and shared by all of them.

SHELL := /bin/bash
CARGO ?= cargo
# More arguments for `make run`, `test`, `sim`, `faults`, `check`, `fuzz`, `bench`, `idle` and `memory`; for example:
# make run ARGS="--amqp-bind 127.0.0.1:5673"
ARGS ?=

# Expanded by each recipe, not when this file is read: `deps` may just have installed ccache.
# A compiler that the caller chose stays.
CCACHE = $(shell command -v ccache >/dev/null 2>&1 && echo 'ccache ')
ifeq ($(origin CC),default)
CC = $(CCACHE)cc
endif
ifeq ($(origin CXX),default)
CXX = $(CCACHE)c++
endif
export CC CXX

.DEFAULT_GOAL := help
.PHONY: help deps build run test sim faults check fuzz lint format bench idle memory micro examples clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: deps ## Build target/release/leveret
	$(CARGO) build --release --package leveret

run: deps ## Build and start the broker: AMQP on 5672, data in ./data
	$(CARGO) run --release --package leveret -- serve $(ARGS)

# --all-targets makes the same units as the test runner asks for, and the broker's binary, which the tests start.
test: deps ## Run all tests (ARGS: a filter, such as crash)
	$(CARGO) build --workspace --all-targets --release
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		set -x; $(CARGO) nextest run --workspace --release $(ARGS); \
	else \
		set -x; $(CARGO) test --workspace --all-targets --release $(ARGS); \
	fi

sim: deps ## Simulate the core against a model, by seed (ARGS: such as --seconds 600 --from-seed 1)
	$(CARGO) run --release --package leveret-simulation -- $(ARGS)

faults: deps ## Break the broker by seed and compare with what it promised (ARGS: --rounds 1000 --seed 1 --kind power-loss)
	$(CARGO) build --release --package leveret --package leveret-faults --package leveret-faultfs-preload
	target/release/leveret-faults $(ARGS)

lint: deps ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --release -- -D warnings

format: ## Format the sources
	$(CARGO) fmt --all

check: build ## Kill Leveret under load and judge what comes of it (ARGS: --seconds 60 --kill-every 5 --seed 7)
	$(CARGO) run --release --package leveret-checker -- run $(ARGS)

fuzz: deps ## Fuzz what comes from peers, disk and administrators (ARGS: a target and seconds)
	fuzz/run $(ARGS)

bench: build ## Measure Leveret, beside RabbitMQ where that is installed
	bench/run.py $(ARGS)

idle: build ## Measure the memory of idle connections and queues, beside RabbitMQ where that is installed
	bench/idle.py $(ARGS)

memory: build ## Measure memory and disk under long backlogs and clients that do not keep up (ARGS: --list, --only NAME)
	bench/memory.py $(ARGS)

micro: deps ## Run the micro-benchmarks: codec, routing, queue state, chunks (ARGS: a filter)
	$(CARGO) bench --workspace --bench '*' -- $(ARGS)

examples: deps ## Run every example against the broker at 127.0.0.1:5672
	examples/run-all.sh 127.0.0.1 5672

clean: ## Delete what the build made
	$(CARGO) clean

deps: ## Install what the build needs, where it is missing (Debian, Ubuntu)
	@.ci/deps
