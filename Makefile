# The verbs that people and CI share. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench clean
demo: $(VENV)/runtime.stamp
	$(BIN)/octoview replay deploy/samples/hw2.mcap --out out/demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/runtime.stamp
	$(BIN)/octoview bench --json out/bench.json

$(VENV)/runtime.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

# torch first and alone: the pinned release has a CPU build, a range may pull gigabytes.
$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[sim,train,dev]'
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
