# Each target is one line or a few that also work when typed by hand. `make help` lists them.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-live bench lint fix golden docs clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

demo: $(VENV)/.installed  ## Run the exporter against a simulated Flyte Admin
	$(BIN)/flyte-exporter demo $(DEMO)

lint: $(VENV)/.installed  ## Check style and types, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check

test: lint  ## Run every check
	@sh tests/prometheus.sh
	$(BIN)/pytest $(PYTEST)

test-live: $(VENV)/.installed  ## Run the client and poll suites against a real Flyte Admin: ADMIN=HOST:PORT [WRITE=1]
	@test -n "$(ADMIN)" || { echo "usage: make test-live ADMIN=HOST:PORT [WRITE=1]" >&2; exit 2; }
	ADMIN=$(ADMIN) WRITE=$(WRITE) $(BIN)/pytest tests/live $(PYTEST)

bench: $(VENV)/.installed  ## Measure speed and memory, and compare with the bars
	$(BIN)/python -m bench

fix: $(VENV)/.installed  ## Mend what can be mended by a tool
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/.installed  ## Rewrite golden files; read the diff
	$(BIN)/pytest --update-golden

docs: $(VENV)/.installed  ## Rewrite the generated pages
	$(BIN)/python -m docs.generate

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
