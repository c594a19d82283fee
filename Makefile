# `make demo` audits a real data set, `make test` runs the tests, `make check` the linters, the type checker and the smallest
# run of every experiment and benchmark, `make docs` builds the site, results/site/index.html, `make package` sdist and wheel,
# and tries the wheel in a bare environment, `make lowest` runs TESTS with the lowest versions that setup.cfg allows. Each
# makes what it needs of .venv first.
PYTHON ?= python3
BIN := .venv/bin
TESTS ?= tests

.PHONY: demo test check format reference docs package lowest clean

demo: .venv/installed
	$(BIN)/infotheory-dl audit --dataset digits --flip 0.1 --output results/audit

test: .venv/installed-test
	$(BIN)/pytest -n auto --dist loadfile

check: .venv/installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m experiments smoke
	$(BIN)/python -m benchmarks smoke

format: .venv/installed-check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: .venv/installed-test
	$(BIN)/python -m tests.public_names
	$(BIN)/python -m tests.files_page

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# bytecode is made where a module is imported: to make all takes longer than to install
package: .venv/installed-package
	rm -rf dist results/bare
	$(BIN)/python -m build
	$(BIN)/python -m venv --without-pip results/bare
	$(BIN)/pip --python results/bare/bin/python install --quiet --no-compile dist/*.whl
	cd results && bare/bin/python ../.ci/installed.py

lowest: .venv/installed-package
	rm -rf results/lowest
	$(BIN)/uv venv --quiet --python $(BIN)/python results/lowest
	$(BIN)/uv pip install --quiet --python results/lowest --resolution lowest-direct --editable '.[test]'
	results/lowest/bin/python -m pytest -n auto --dist loadfile $(TESTS)

clean:
	rm -rf .venv .jax_cache dist results

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/installed: .venv/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-%: .venv/installed
	$(BIN)/pip install --quiet --editable '.[$*]'
	touch $@
