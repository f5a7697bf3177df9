# Needs Python 3.11 to 3.13 and make; everything else comes from uv.lock.
#   make run                      the whole day on this machine, until Ctrl-C
#   make run ONCE=1               the same, ends by itself: 0 for a complete day. Make exits with 2 for anything else, and
#                                 its last line has the run's own code: Error 1 is a debt, 2 wrong settings, 3 failed
#   NEOPLE_API_KEY=… make run ROSTER=file.csv      with your own key and characters
#   make cluster                  the same on CeleryExecutor with Redis and two workers (ONCE=1, ROSTER=file.csv)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# The first that runs and fits: a name on the PATH may be a shim for a version that is not chosen.
FITS = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  "$$p" -c '$(FITS)' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP = $(VENV)/installed-$(shell cksum uv.lock pyproject.toml | cksum | cut -d ' ' -f 1)
TEST_STAMP = $(STAMP)-dev
CLUSTER_STAMP = $(STAMP)-cluster
SPARK_STAMP = $(STAMP)-spark
SPARK_JARS := .local/spark-jars
SYNC = UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --frozen --python $(BIN)/python

export ROSTER # through the environment, whatever quotes are in its name

.PHONY: help install install-dev install-spark run cluster stop status test faults chaos check bench bench-collect bench-marts bench-report fix clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

# Use it --------------------------------------------------------------------------------------------------------------

install: $(STAMP) ## make .venv with everything that `make run` needs

run: $(STAMP) ## start every part here and collect the last complete day (ONCE=1, ROSTER=file.csv)
	@$(BIN)/python -m neople_timeline.local up $(if $(ONCE),--once) $(if $(ROSTER),--roster "$$ROSTER")

cluster: $(CLUSTER_STAMP) ## the same on CeleryExecutor, Redis and two workers on hosts of their own (needs redis-server)
	@$(BIN)/python -m neople_timeline.local cluster $(if $(ONCE),--once) $(if $(ROSTER),--roster "$$ROSTER")

stop: ## stop what `make run` or `make cluster` left running
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m neople_timeline.local down; fi

status: $(STAMP) ## say what runs, and where
	@$(BIN)/python -m neople_timeline.local status

# Work on it ----------------------------------------------------------------------------------------------------------

install-dev: $(TEST_STAMP) ## the same with the tools for tests and checks

install-spark: $(SPARK_STAMP) $(SPARK_JARS)/complete ## Spark for the marts, and 13 MB of jars for s3a:// (wants Java 17 and Maven)

test: $(TEST_STAMP) ## unit, integration with real parts, DAGs, and a day from end to end
	@$(BIN)/pytest

faults: $(TEST_STAMP) ## fail in every way known, against the real parts, and compare every row with the truth (15 minutes)
	@$(BIN)/pytest tests/faults -m "slow or not slow" --quiet --durations=5

chaos: $(TEST_STAMP) $(CLUSTER_STAMP) ## a day of 20,000 characters while its parts are lost one after the other (CHAOS=short: 2,000)
	@CHAOS=$${CHAOS:-long} $(BIN)/pytest -s tests/chaos

check: $(TEST_STAMP) ## format, lint, types, import directions, generated documents
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@find tests -name conftest.py | xargs -n 1 $(BIN)/mypy --no-error-summary # one at a time: all are modules of one name
	@$(BIN)/lint-imports
	@$(BIN)/python -m neople_timeline.dictionary --check

bench: bench-collect bench-marts bench-report ## measure everything

bench-collect: $(TEST_STAMP) ## measure collecting: CPU per event, share of the limit, memory (FULL=1: a million characters too)
	@$(SYNC) --quiet --inexact --no-default-groups --group airflow --group local --group dev --group bench
	@$(BIN)/python benchmarks/collect.py $(if $(FULL),--million)

bench-marts: $(TEST_STAMP) ## all marts over 1 and 10 million events: DuckDB, and Spark where it is installed
	@$(BIN)/python benchmarks/marts.py

bench-report: $(TEST_STAMP) ## the report of a day of 100,000 characters
	@$(BIN)/python benchmarks/report.py

fix: $(TEST_STAMP) ## format, and mend what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean: stop ## remove the environment, the local stack and all caches
	rm -rf $(VENV) .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src dags plugins benchmarks deploy docs tests -name __pycache__ -prune -exec rm -rf {} +

# Installation --------------------------------------------------------------------------------------------------------

$(BIN)/uv:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11, 3.12 or 3.13 with its venv module found (Debian: apt install python3-venv);" \
	  "install one, or say PYTHON=/path/to/python." >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian: apt install python3-venv)." >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { \
	  echo "uv could not be downloaded: the first installation needs the package index (PyPI)." >&2; exit 2; }

$(STAMP): $(BIN)/uv uv.lock pyproject.toml
	@$(SYNC) --inexact --no-default-groups --group airflow --group local || { echo "The packages could not be downloaded: see above." >&2; exit 2; }
	@rm -f $(VENV)/installed-*; touch $@

$(TEST_STAMP): $(BIN)/uv uv.lock pyproject.toml
	@$(SYNC) --inexact --no-default-groups --group airflow --group local --group dev || { echo "The packages could not be downloaded: see above." >&2; exit 2; }
	@rm -f $(VENV)/installed-*; touch $(STAMP) $@

$(CLUSTER_STAMP): $(STAMP)
	@$(SYNC) --inexact --no-default-groups --group airflow --group local --group cluster || { echo "The packages could not be downloaded: see above." >&2; exit 2; }
	@touch $@

$(SPARK_STAMP): $(TEST_STAMP)
	@$(SYNC) --inexact --no-default-groups --group airflow --group local --group dev --group spark || { echo "The packages could not be downloaded: see above." >&2; exit 2; }
	@touch $@

$(SPARK_JARS)/complete: deploy/spark/pom.xml
	@command -v mvn >/dev/null || { echo "The jars are fetched by Maven (Debian: apt install default-jre-headless maven)." >&2; exit 2; }
	@rm -rf $(SPARK_JARS)
	@mvn --quiet --batch-mode -Dstyle.color=never --file $< dependency:copy-dependencies -DoutputDirectory=$(abspath $(SPARK_JARS))
	@touch $@
