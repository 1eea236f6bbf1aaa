# What a user and a contributor type; `make help` lists it.
# Needs GNU make 3.81 or newer, a POSIX shell and Python 3.11 or newer. Every path is relative, so that the
# checkout may lie in a folder with blanks in its name. Only pip ever uses the network.

.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help reproduce test slow check lint format types contract docs examples bench clean

venv := .venv
bin := $(venv)/bin
pip := $(bin)/python -m pip --disable-pip-version-check

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

reproduce: $(venv)/ready  ## set up .venv and print the ledger of every review
	@$(bin)/metapeer reproduce

test: $(venv)/ready-test  ## set up .venv and run the tests, without the slow ones
	@$(bin)/python -m pytest -q -n auto --maxprocesses 8 -m "not slow"

slow: $(venv)/ready-test  ## run the slow tests, and the property tests with more examples
	@HYPOTHESIS_PROFILE=thorough $(bin)/python -m pytest -q -n auto -m "slow or hypothesis"

check:  ## everything that CI runs
	@bash .ci/run

lint: $(venv)/ready-dev  ## style and spelling
	@$(bin)/ruff check
	@$(bin)/ruff format --check
	@$(bin)/codespell

format: $(venv)/ready-dev  ## put right what a machine can put right
	@$(bin)/ruff check --fix
	@$(bin)/ruff format

types: $(venv)/ready-dev  ## strict type check
	@$(bin)/mypy

contract: $(venv)/ready-dev  ## imports run down the house
	@$(bin)/lint-imports

docs: $(venv)/ready-dev  ## build docs/_build/html, warnings are errors
	@$(bin)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

examples: $(venv)/ready-test  ## run the examples and keep what they print
	@$(bin)/python tests/test_examples.py

bench: $(venv)/ready-bench  ## time metapeer beside its peers
	@mkdir -p .benchmarks
	@$(bin)/python -m pytest -q -W default -p no:cacheprovider --benchmark-columns=min,median,rounds \
	    --benchmark-group-by=group --benchmark-json=.benchmarks/latest.json tests/benchmarks
	@$(bin)/python tests/benchmarks/ratios.py .benchmarks/latest.json

clean:  ## remove the environment and everything that was built
	rm -rf $(venv) build dist docs/_build docs/generated .benchmarks .coverage .hypothesis .import_linter_cache \
	    .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. A stamp is renewed only when pyproject.toml, or the Python under .venv, is newer.

$(bin)/python:
	@if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; \
	else set -- python3 python3.14 python3.13 python3.12 python3.11; fi; \
	for python in "$$@"; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        echo "$(venv): made with $$python, $$("$$python" --version 2>&1)" >&2; \
	        "$$python" -m venv --clear $(venv) && exit 0; \
	        echo "$$python could not make $(venv); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	    fi; \
	done; \
	echo "No Python 3.11 or newer among: $$*. Name yours: make PYTHON=/path/to/python3.12 ..." >&2; exit 1

$(venv)/ready: pyproject.toml $(bin)/python
	@echo "$(venv): installing metapeer" >&2
	@$(pip) install --quiet --editable .
	@touch $@

$(venv)/ready-test: pyproject.toml $(bin)/python
	@echo "$(venv): installing metapeer and its test tools" >&2
	@$(pip) install --quiet --editable '.[test]'
	@touch $(venv)/ready $@

$(venv)/ready-dev: pyproject.toml $(bin)/python
	@echo "$(venv): installing metapeer and its developers' tools" >&2
	@$(pip) install --quiet --editable '.[dev]'
	@touch $(venv)/ready $(venv)/ready-test $@

$(venv)/ready-bench: pyproject.toml $(bin)/python
	@echo "$(venv): installing metapeer, its benchmark tools and its peers" >&2
	@$(pip) install --quiet --editable '.[bench]'
	@touch $(venv)/ready $@
