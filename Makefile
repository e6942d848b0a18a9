# The front door. Every target sets up what it needs: Python 3.11 or newer with pip and venv is enough to begin with.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check audit-deps format bench soak rates fuzz mutants notebooks dictionary build lock clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Options go in ARGS: make test ARGS="-k merkle", make demo ARGS="--help".'

# Two stamps: new pins make a new environment, a new pyproject.toml only installs the project again.
$(VENV)/.pins: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("proofroom needs Python 3.11 or newer: make PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@echo 'Setting up $(VENV) (once; a minute or so)'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.txt
	@touch $@

$(VENV)/.project: $(VENV)/.pins pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.project ## Make the environment only

demo: setup ## The whole chain of evidence on a calendar, in demo-room/; again for the next era
	@mkdir -p demo-room
	@cd demo-room && ../$(BIN)/proofroom demo $(ARGS)

test: setup ## All tests, on two workers
	@$(BIN)/pytest --numprocesses 2 --dist worksteal $(ARGS)

check: setup ## Format, lint, strict types, import rules, and that what is installed is what is pinned and asked for
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pip check
	$(BIN)/pytest -q tests/test_pins.py

# Advisories lie on the network: where they cannot be read, nothing was audited, and that is no pass.
audit-deps: ## Look for known faults of all pinned versions, where advisories can be read (ARGS="-s osv": another service)
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet 'pip-audit>=2.9,<3'
	@build/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements-lab.txt $(ARGS) \
		|| { echo 'Either it lists faults above, or the advisories could not be read and nothing was audited.' >&2; exit 1; }

format: setup ## Put the code into its form, mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure: each figure as A and B in turn
	@$(BIN)/python -m benchmarks $(ARGS)

soak: setup ## The tests again with many more examples
	@PROOFROOM_PROFILE=soak $(BIN)/pytest --numprocesses 2 --dist worksteal $(ARGS)

rates: setup ## Capture and catch in 30,000 simulated rounds for three new seeds, into docs/soak/rates.md; goes on where it stopped
	@$(BIN)/python -m benchmarks.rates

notebooks: setup ## Run the notebooks against a world of 100,000 entries (made once, in build/) and save them with their outputs
	@$(BIN)/python -m notebooks --save $(ARGS)

dictionary: setup ## Write docs/data-dictionary.md from the comments of the tables
	@$(BIN)/python -m proofroom.adapters.dictionary docs/data-dictionary.md

$(VENV)/.lab: $(VENV)/.project requirements-lab.txt
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-lab.txt
	@touch $@

fuzz: $(VENV)/.lab ## Fuzz what reads strangers' bytes, a minute (ARGS="--seconds 0": to a million executions, over several runs)
	@$(BIN)/python -m fuzz $(ARGS)

mutants: $(VENV)/.lab ## Mutate the verifier and the rules, and see the tests fail; goes on where it stopped
	@$(BIN)/python -m mutants $(ARGS)

build: setup ## sdist, and from it the wheel, into dist/
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation .

# Pins hold versions and hashes, never an address. ARGS=--upgrade moves them.
LOCK := build/lock/bin/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --custom-compile-command 'make lock'

lock: ## Pin what pyproject.toml asks for (ARGS=--upgrade: the newest)
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet 'uv>=0.9,<1'
	$(LOCK) $(ARGS) --output-file requirements.txt
	$(LOCK) $(ARGS) --group dev --constraint requirements.txt --output-file requirements-dev.txt
	$(LOCK) $(ARGS) --group dev --group lab --constraint requirements-dev.txt --output-file requirements-lab.txt
	@! grep -nE '://|^--' requirements.txt requirements-dev.txt requirements-lab.txt || { echo 'a pin names an address' >&2; exit 1; }

clean: ## Remove all that was made
	rm -rf $(VENV) build dist demo-room .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
