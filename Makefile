.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
.PHONY: help setup demo serve test soak check format lock screenshots notebooks benchmarks clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

setup: .venv/.ready ## Make .venv with everything that is locked

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "RuleEdit needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

demo: setup ## Set everything up and run the whole loop on built-in data
	$(BIN)/ruleedit demo

serve: setup ## Start the service with a ready example on http://127.0.0.1:8000
	$(BIN)/ruleedit serve --demo

test: setup ## Set everything up, run the tests and the notebooks
	$(BIN)/python -m pytest --numprocesses auto --nbmake tests notebooks

soak: setup ## Run the long tests too
	$(BIN)/python -m pytest --numprocesses auto -m "soak or not soak" --soak

check: setup ## Format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Write every file in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Lock the dependencies again, with hashes and no index address
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-strip-extras --extra test --extra notebooks --extra postgres --extra prove --extra client --extra dask --output-file requirements.lock pyproject.toml

screenshots: setup ## Make the README's pictures of the workbench, in Chromium
	RULEEDIT_TEST_SCREENSHOTS=docs $(BIN)/python -m pytest tests/workbench/test_pages.py -k "moved_by_keyboard or settled_by_a_button"

notebooks: setup ## Run the notebooks as they are
	$(BIN)/python -m pytest --nbmake notebooks

benchmarks: setup ## Measure the loop on the tables of DATA=folder
	$(BIN)/python benchmarks/loop.py --data $(DATA)

clean: ## Remove what the targets above made
	rm -rf .venv build ruleedit-demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
