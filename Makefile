# Two commands: `make demo` audits a real data set, `make test` runs every check. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test format clean

demo: .venv/installed
	$(BIN)/infotheory-dl audit --dataset digits --flip 0.1 --output results/audit

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv results

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@ .venv/installed
