# `make` lists the targets. `make demo` and `make test` set up what they need.
VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
PYTEST := $(BIN)/pytest
JOBS   ?= 2

.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(VENV)/.ready  ## install what is needed to work on Sabir

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Sabir needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq -y python3-venv; } || { \
	  echo "Python lacks its venv module; run: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --group dev --editable '.[testing,keyring]'
	@touch $@

servers: setup  ## install the real servers that the tests and the demo run
	$(BIN)/python -m sabir.testing.install synapse prosody ejabberd kannel ts-mls crabline prism smpp

demo: setup  ## real servers, two networks, one conversation (CHECK=1: verify and exit)
	$(BIN)/python -m sabir.testing.install synapse prosody
	$(BIN)/python -m sabir.testing.demo $(if $(CHECK),--check)

test: setup lint types servers  ## everything that gates a merge, real servers included
	$(PYTEST) -m 'not soak' -n $(JOBS) --dist loadgroup --durations=25 --cov --cov-report=
	for part in agent content storage wire; do \
	  $(BIN)/coverage report --include="*/sabir/$$part/*" --fail-under=95 || exit 1; done
	for part in crypto mls; do \
	  $(BIN)/coverage report --include="*/sabir/$$part/*" --fail-under=100 || exit 1; done

soak: servers  ## the long runs: kills, fuzzing, load
	$(PYTEST) -m soak

lint: setup  ## style, bans, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup  ## mypy strict
	$(BIN)/mypy

format: setup  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: servers  ## the benchmarks, JSON on the last line of each
	for file in bench/*.py; do $(BIN)/python $$file || exit 1; done

lock: setup  ## write constraints.txt anew: the versions installed now
	$(BIN)/python -m pip list --format=freeze --exclude-editable \
	  --exclude pip --exclude setuptools > constraints.txt
	@touch $(VENV)/.ready

clean:  ## remove what `make` made, the installed servers too
	rm -rf $(VENV) .lab .coverage .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis dist

.PHONY: help setup servers demo test soak lint types format bench lock clean
