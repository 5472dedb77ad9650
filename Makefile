# Two commands for a stranger: `make demo` and `make test`. Each sets up what it needs first.
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench lock tree wheel install-service clean setup-demo setup-dev
SHELL := /bin/bash

PYTHON ?= python3
DURATION ?= 60
VENV := .venv
RUN := $(VENV)/bin

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup-demo:
	@$(PYTHON) .ci/bootstrap.py demo

setup-dev:
	@$(PYTHON) .ci/bootstrap.py dev

demo: setup-demo ## the agent on real recorded sensors for DURATION seconds (60; 0: until Ctrl-C); VOICE=1: aloud
	@$(RUN)/edge-agent demo --duration $(DURATION) $(if $(VOICE),--voice)

test: setup-dev ## the whole test suite: units first, then whole processes
	$(RUN)/python -m pytest -m "not e2e"
	$(RUN)/python -m pytest -m e2e

check: setup-dev ## lint, format and types
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy --strict

format: setup-dev ## put the sources into the one format
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

bench: setup-dev ## what it costs on this machine: memory, CPU, latency, throughput
	$(RUN)/python -m benchmarks

lock: ## write the lock files from what is installed in .venv
	$(RUN)/python .ci/lock.py

tree: ## renew the tree in the README
	@$(PYTHON) .ci/tree.py

wheel: setup-dev ## the wheel of edge_agent and firmware_bridge, in dist/
	$(RUN)/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist .

install-service: ## install the systemd service on this machine (as root; starts nothing)
	@PYTHON=$(PYTHON) bash .ci/install-service

clean: ## remove what these targets made, except the cached wheel
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
