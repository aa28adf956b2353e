# `make` or `make help` says what there is. Every target does its own set-up.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAIN := $(VENV)/.installed-train
ARGS ?=

.PHONY: help setup demo test fuzz check format docs bench bench-promise bench-models bench-storage bench-scale bench-reliability bench-dash bench-clients bench-duplicates bench-dims bench-memory bench-many bench-texts bench-serve summary clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

setup: $(TRAIN) ## Make the virtual environment with everything for development

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(TRAIN): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,train,images,texts,words]'
	@touch $@

demo: $(STAMP) ## Hash real word vectors into a real OpenSearch and compare (ARGS=--json)
	@$(BIN)/meta4 demo $(ARGS)

test: $(TRAIN) ## Run the tests against real nodes of both engines (ARGS='-k name')
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

fuzz: $(TRAIN) ## Thousands of hostile documents, bodies, files, indexes and command lines (an hour)
	META4_FUZZ=800 $(BIN)/python -m pytest tests/whole/test_fuzz.py tests/search/test_differential.py \
	    tests/ingest/test_inputs.py tests/ingest/test_pipeline.py tests/move/test_round_trips.py \
	    tests/definitions/test_definitions.py $(ARGS)

check: $(TRAIN) ## Lint, types, direction of imports, docs in step with the command line
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_cli.py --check

format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## Write docs/cli.md from the command line
	$(BIN)/python docs/make_cli.py

bench: $(STAMP) ## What requests and loads cost beside the engines' own indexes (over an hour)
	$(BIN)/python -m benchmarks.engine $(ARGS)

bench-promise: $(STAMP) ## What is delivered for queries and filters that nothing was tuned for (half an hour)
	$(BIN)/python -m benchmarks.promise $(ARGS)

bench-models: $(TRAIN) ## Compare hash models: code ranking, triplets, buckets (over an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.models $(ARGS)

bench-storage: $(STAMP) ## How Elasticsearch best stores vectors and codes (five minutes)
	$(BIN)/python -m benchmarks.storage

bench-scale: $(STAMP) ## How cost grows: 50,000 to 1,000,000 vectors (over an hour)
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-dash: $(TRAIN) ## DAsH, LSH tuned by the fractal dimension, and rivals (twenty minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.dash

bench-reliability: $(STAMP) ## What faults cost, beside the clients' own helpers (ten minutes)
	$(BIN)/python -m benchmarks.reliability

bench-dims: $(TRAIN) ## What a first phase saves: sentence embeddings and words (forty minutes)
	$(BIN)/python -m benchmarks.dims $(ARGS)

bench-memory: $(TRAIN) ## What requests cost where memory is short: a node in a memory cgroup (over an hour)
	$(BIN)/python -m benchmarks.memory $(ARGS)

bench-texts: $(TRAIN) ## Questions in words: by words, by vectors, by both (ten minutes)
	$(BIN)/python -m benchmarks.texts $(ARGS)

bench-many: $(TRAIN) ## Ten million vectors on one node with little memory (over an hour)
	$(BIN)/python -m benchmarks.memory.many $(ARGS)

bench-serve: $(STAMP) ## What the gateway costs; needs nginx and wrk (ten minutes; ARGS=endurance: whether it lasts)
	$(BIN)/python -m benchmarks.serve$(addprefix .,$(firstword $(ARGS))) $(wordlist 2,99,$(ARGS))

bench-duplicates: $(STAMP) ## Pairs of all words at cosine 0.9, by buckets beside exact (ten minutes)
	$(BIN)/python -m benchmarks.duplicates $(ARGS)

summary: $(STAMP) ## Write README's table and plot from benchmarks/results (the benchmarks do too)
	$(BIN)/python -m benchmarks.summary

bench-clients: $(STAMP) ## Requests a second of AsyncMeta4 beside Meta4 in threads (ten minutes)
	$(BIN)/python -m benchmarks.clients $(ARGS)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
