# Needs python >= 3.11 with its venv module, and make.  Everything else goes into .venv.
#
#   make stress       the default campaign (under two minutes once .venv is there)
#   make quick        half of the tests, in two minutes
#   make test         the tests
#   make coverage     the quick tests, measuring branch coverage against its floor
#   make check        ruff (lint and format), mypy, the layer check
#   make wheel-test   build the wheel, install it outside the checkout, run it there; keep a race as a test, mend it
#   make nightly      all that is slow, four hours and fifty minutes at most; goes on where it was stopped
#                     (PARTS="canaries walks": these only; FRESH=1: also what passed already)
#   make soak         a campaign of 24 hours, watched from outside (FOR=2h: of two; SOAK="--load 4": beside busy loops)

.DEFAULT_GOAL := stress
.PHONY: stress quick test coverage check wheel-test nightly soak clean
SHELL := /bin/bash

# The first interpreter that is new enough; override with `make PYTHON=...`.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TESTS := $(BIN)/python -m pytest -n auto --dist worksteal
UNINTERRUPTED := --ignore=tests/runs/test_foreign.py --ignore=tests/runtime/test_leftover.py
QUICK := -m "not slow"
COUNTED := --cov -p no:mmrace
COVERED_FIRST := tests/story tests/search/prove tests/search/convert tests/oracles/general tests/oracles/telling \
	$(addprefix tests/oracles/protocol/test_,back_out.py durability.py progress.py slot.py) \
	$(addprefix tests/strategies/test_,dpor.py dpor_crashes.py dpor_ends.py retrace.py) \
	$(addprefix tests/runtime/test_,files.py standstill.py)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: expected python >= 3.11 on PATH, found none; try: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Stamps depend on pyproject.toml: a changed dependency is installed at the next make.
$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	$(PIP) install -e .
	@touch $@

$(VENV)/.stamp-develop: pyproject.toml | $(BIN)/python
	$(PIP) install -e '.[test,check]'
	@touch $@ $(VENV)/.stamp-run

stress: $(VENV)/.stamp-run
	exec $(BIN)/mmrace stress

quick: $(VENV)/.stamp-develop
	$(TESTS) $(QUICK)

test: $(VENV)/.stamp-develop
	$(TESTS)

# Without the tests that interrupt a run from outside: coverage drops whatever is raised while it looks up the fiber that
# it is in, and then nothing ends a task that blocks.  Stories, walks and retraced records have slow tests, which are
# counted first, and not again.  mmrace's own plugin stays out: it would import modules before anybody counts.
coverage: $(VENV)/.stamp-develop
	$(TESTS) $(COUNTED) $(COVERED_FIRST) --cov-report= --cov-fail-under=0
	$(TESTS) $(COUNTED) $(QUICK) -k "not ctrl_c and not blocks" $(UNINTERRUPTED) \
		$(addprefix --ignore=,$(COVERED_FIRST)) --cov-append --cov-report=term
	$(BIN)/python tools/coverage_floor.py

check: $(VENV)/.stamp-develop
	$(BIN)/ruff check mmrace tests tools stress
	$(BIN)/ruff format --check --quiet mmrace tests tools stress
	$(BIN)/mypy
	$(BIN)/python tools/check_layers.py

nightly: $(VENV)/.stamp-develop
	$(BIN)/python stress/nightly.py $(if $(FRESH),--fresh) $(PARTS)

soak: $(VENV)/.stamp-develop
	exec $(BIN)/python -m stress.soak --for $(or $(FOR),24h) $(SOAK)

# An empty virtual environment in an empty folder: nothing of the checkout can be imported by accident.
wheel-test: $(BIN)/python
	@set -euo pipefail; away="$$(mktemp -d)"; trap 'rm -rf "$$away"' EXIT; \
	$(PIP) wheel --no-deps --wheel-dir "$$away" . ; \
	$(BIN)/python -m venv "$$away/venv"; \
	"$$away/venv/bin/python" -m pip --disable-pip-version-check --quiet install "$$away"/mmrace-*.whl; \
	cp tests/kept_story.py "$$away"; mkdir "$$away/story"; cd "$$away"; \
	venv/bin/mmrace list; \
	venv/bin/mmrace stress --runs 40 --seed 1 --no-canaries --engine gate; \
	venv/bin/mmrace report-night --html night.html; grep -q "What this rests on" night.html; \
	venv/bin/mmrace explore mmrace.examples.lost_update:mended --exhaustive; \
	venv/bin/python -m pip --disable-pip-version-check --quiet install "pytest>=8.2"; \
	venv/bin/python kept_story.py story

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
