# Every target sets up what it needs in .venv; only python3, make and git must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Modules are compiled when they are first used: half of what is installed never is.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --prefer-binary

.PHONY: help demo prepare-silver docs test test-long check format clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.demo ## the whole job on a miniature Silver, on this machine alone
	$(BIN)/saco demo

prepare-silver: $(VENV)/.run ## prepare all ten subsets as CONFIG_FRAMES.yaml says
	$(BIN)/saco prepare

docs: $(VENV)/.run ## write the generated tables of the docs and the SLURM array anew
	$(BIN)/python docs/generate.py

test: $(VENV)/.test ## all tests but the long campaigns
	$(BIN)/python -m pytest -n 2

test-long: $(VENV)/.test ## the long campaigns, with their seeds: an hour or so
	$(BIN)/python -m pytest -m long -s

check: $(VENV)/.test $(VENV)/.check ## lint, format, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.check ## put the code into the agreed format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make made
	rm -rf $(VENV) saco-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.check: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[check]'
	@touch $@
