# Every target sets up what it needs in .venv; only python3, make and git must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The exact versions that the tests ran with; empty for the newest ones.
CONSTRAINTS ?= constraints.txt
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Modules are compiled when they are first used: half of what is installed never is.
INSTALL = $(PIP) install --no-compile --prefer-binary $(addprefix -c ,$(CONSTRAINTS))

.PHONY: help demo prepare-silver docs docs-site test test-long test-latest test-oldest check format clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/.demo editable ## the whole job on a miniature Silver, on this machine alone
	$(BIN)/saco demo

prepare-silver: $(VENV)/.run editable ## prepare all ten subsets as CONFIG_FRAMES.yaml says
	$(BIN)/saco prepare

docs: $(VENV)/.run editable ## write the generated tables of the docs and the SLURM array
	$(BIN)/python docs/generate.py

docs-site: $(VENV)/.docs ## the docs as pages with a search, in build/site; needs no network then
	$(BIN)/python -m sphinx -q -W -b html -c docs . build/site
	@echo "build/site/docs/index.html: open it with any browser"

# Tests run on what users install: the wheel, in a tree that has everything but the package's source.
# Many of them wait for servers and jobs: three workers keep two cores busy.
TREE := build/test-tree
PYTEST = cd $(TREE) && $(abspath $(BIN))/python -m pytest -n 3 --dist worksteal

test: $(VENV)/.test tree ## all tests but the long campaigns, on the built wheel
	$(PYTEST)

test-long: $(VENV)/.test tree ## the long campaigns, with their seeds: some hours
	cd $(TREE) && $(abspath $(BIN))/python -m pytest -m long -s

test-latest: ## the tests with the newest of everything, in an environment of its own
	$(MAKE) test VENV=.venv-latest CONSTRAINTS=

test-oldest: ## the tests with the oldest of everything that the ranges allow
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=build/oldest.txt

build/oldest.txt: pyproject.toml tests/oldest.py
	mkdir -p build
	$(PYTHON) tests/oldest.py > $@

# `make test` leaves the wheel in place of the checkout.
.PHONY: editable
editable: | $(BIN)/python
	@grep -q '"editable": *true' $(VENV)/lib/python3*/site-packages/saco_data-*.dist-info/direct_url.json || \
		$(PIP) install --no-deps -e .

.PHONY: tree
tree: | $(BIN)/python
	rm -rf build/wheel $(TREE)
	mkdir -p build/wheel $(TREE)
	$(PIP) wheel --quiet --no-deps --no-build-isolation -w build/wheel .
	$(PIP) install --no-deps --force-reinstall build/wheel/*.whl
	for each in $$(git ls-files | cut -d/ -f1 | sort -u); do \
		case $$each in saco_data | manifests) ;; *) ln -s "$(CURDIR)/$$each" $(TREE)/ ;; esac \
	done

check: $(VENV)/.test $(VENV)/.check ## lint, format, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.check ## put the code into the agreed format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make made
	rm -rf $(VENV) .venv-latest .venv-oldest build saco-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.demo: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) -e '.[test]'
	@touch $@

$(VENV)/.docs: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) -e '.[docs]'
	@touch $@

$(VENV)/.check: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL) -e '.[check]'
	@touch $@
