# Everything runs in .venv, which every target makes by itself: a killed install is taken up again,
# because the stamp is touched only at the very end.

PYTHON ?= python3
VENV := .venv
# Windows puts programs elsewhere.
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
CORE := $(VENV)/.core
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= logical
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal
CODE := $(wildcard src tests benchmarks examples)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help install docs notebooks demo test test-all check check-format check-lint check-types check-walls format bench lock wheel clean

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What a user needs: no torch. The locks name every transitive package, so nothing is left to resolve; what is run gets
# its byte code then, and the rest of it would be a quarter of the environment.
$(CORE): requirements/core.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "veridical needs Python 3.11 or newer; set PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --no-compile --no-deps -r requirements/core.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

# torch goes first and alone: the exact pin is what selects the CPU build where one is offered.
$(STAMP): $(CORE) requirements/torch.txt requirements/dev.txt
	$(PIP) install --quiet -r requirements/torch.txt
	$(PIP) install --quiet --no-deps -r requirements/dev.txt
	-$(BIN)/python requirements/npm.py axe-core  # for one test, which is skipped without it
	touch $@

install: $(STAMP) ## make the pinned environment in .venv: everything that tests and training need

demo: $(CORE) ## code a sample photograph and write a page to look at: build/demo (core install only)
	$(BIN)/veridical demo --out-dir build/demo

test: $(STAMP) ## run the tests that need neither long nor a GPU (ARGS="-k name" for some)
	$(PYTEST) -m "not slow and not gpu" $(ARGS)

test-all: $(STAMP) ## run every test that this machine can run
	$(PYTEST) $(ARGS)

check: check-format check-lint check-types check-walls ## check format, lint, types and walls (-k: all faults at once)

check-format: $(STAMP)
	$(BIN)/ruff format --check $(CODE)

check-lint: $(STAMP)
	$(BIN)/ruff check $(CODE)

check-types: $(STAMP)
	$(BIN)/pyrefly check --progress-bar=no

check-walls: $(STAMP)
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## format the code and repair what the linter can repair
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

bench: $(STAMP) ## run the benchmarks that need no data: import time, decoding against other codecs, codes
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/oneshot.py
	$(BIN)/python benchmarks/limits.py

$(VENV)/.docs: $(STAMP) requirements/docs.txt
	$(PIP) install --quiet --no-deps -r requirements/docs.txt
	touch $@

# Records that ship are drawn, the others computed; both anew where the studies changed.
build/figures/.drawn: $(STAMP) $(wildcard src/veridical/studies/*.py src/veridical/studies/*/*.py)
	@mkdir -p $(@D)
	for name in $$($(BIN)/veridical study --list | cut -d' ' -f1); do \
	    test -f src/veridical/studies/data/$$name.npz || echo $$name; done >$@.names
	$(BIN)/veridical study --redraw $(basename $(notdir $(wildcard src/veridical/studies/data/*.npz))) --out-dir $(@D)
	$(BIN)/veridical study $$(cat $@.names) --jobs 2 --out-dir $(@D)
	mv $@.names $@

docs: $(VENV)/.docs build/figures/.drawn ## build the documentation site: build/site
	test -f build/demo/demo.html || $(BIN)/veridical demo --out-dir build/demo
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	cp build/demo/demo.html build/site/demo.html

notebooks: $(VENV)/.docs ## run the notebooks and keep their outputs in docs/notebooks
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False docs/notebooks/*.ipynb

lock: ## pin the newest versions that pyproject.toml allows, with the hashes of their files
	requirements/lock.sh $(PYTHON)

wheel: $(STAMP) ## build the wheel: dist/
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove what the targets made, the environment included
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
