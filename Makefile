# Two commands set everything up: `make demo` and `make test`. Both make the virtual environment when it is missing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint format judge bench clean

help:  ## What can be made here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## Import WordNet entries into a real server and search them three ways
	$(BIN)/minivec demo

test: lint  ## Lint, then every test but the long judges
	$(BIN)/python -m pytest -n 2 -m 'not judge' tests

lint: $(VENV)/.installed  ## ruff and mypy (strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed  ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

judge: $(VENV)/.installed  ## The long judges: 200 crash rounds, schemathesis in full
	$(BIN)/python -m pytest -m judge tests

bench: $(VENV)/.installed  ## Every benchmark; one JSON record per run in benchmarks/records
	$(BIN)/python -m benchmarks

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
