# `make` lists the verbs. Set-up happens once, when a verb needs it.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
AS_OF := $(shell cat seeds/sample/as_of)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup spark parity night test faults lint bench format dev sql docs lock prices clean

help:
	@echo "make night   run the night on the sample, and leave CSV files in exports/latest"
	@echo "make test    pass the tests"
	@echo "make faults  end nights at 25 random moments, and run one in each of 20 timezones (an hour)"
	@echo "make lint    check the style of Python and SQL"
	@echo "make bench   measure everything beside the plain alternatives; SIZE=... for other sizes than 5,000,000 events"
	@echo "make spark   set up Spark beside it (the extra [spark], 478 MB; Java 17 is needed)"
	@echo "make parity  run the same nights on DuckDB and on Spark, and hold every table of both row by row"
	@echo "make dev     open Dagster in a browser: the graph, the schedule, the sensor"
	@echo "make sql     query what was published; Q=\"select ...\" for one query"
	@echo "make docs    write the dbt documentation of the last night to one HTML file"
	@echo "make setup   set up what is missing (every verb does)"
	@echo "make lock    pin the newest allowed versions in requirements.lock"
	@echo "make prices  write the price seeds from the pinned genai-prices; RELEASED=2026-12-01 for a new release"
	@echo "make clean   remove what the verbs made, but for the environment"

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed, and was not found: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV) (once, a few minutes)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@# compileall also meets templates and files for other Pythons, and fails on those
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib orchestration >/dev/null 2>&1 || true
	@$(BIN)/python -c 'from orchestration.models import prepare_manifest; prepare_manifest()'
	@touch $@

spark: $(VENV)/.spark-ready

$(VENV)/.spark-ready: $(VENV)/.ready requirements-spark.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	@touch $@

parity: spark
	@command -v java >/dev/null || { echo "Java 17 is needed, and was not found: apt-get install openjdk-17-jre-headless"; exit 1; }
	@$(BIN)/python -m benchmarks.parity $(if $(EVENTS),--events $(EVENTS))

# Rejected rows are shown, and are no failure of the verb.
night: setup
	@$(BIN)/warehouse night --as-of $(AS_OF) || { code=$$?; test $$code -eq 3 || exit $$code; $(BIN)/warehouse rejects; }

test: setup
	@$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

faults: setup
	@$(BIN)/python -m pytest -q tests/test_faults.py tests/test_zones.py --kills 25 --all-zones \
	  $(if $(SEED),--kill-seed $(SEED))

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/sqlfluff lint dbt_project/models --disable-progress-bar --processes 0

bench: setup
	@$(BIN)/python -m benchmarks $(if $(SIZE),--size $(SIZE))

format: setup
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

dev: setup
	@mkdir -p .warehouse/dagster && cp orchestration/dagster.yaml .warehouse/dagster/
	@DAGSTER_HOME=$(CURDIR)/.warehouse/dagster $(BIN)/dagster dev -m orchestration.definitions

sql: setup
	@$(BIN)/warehouse sql $(if $(Q),"$(Q)")

docs: setup
	@WAREHOUSE_BUILD_FILE=$(CURDIR)/.warehouse/build/warehouse.duckdb $(BIN)/dbt --quiet docs generate --static \
	  --project-dir dbt_project --profiles-dir dbt_project && echo dbt_project/target/static_index.html

lock: setup
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras \
	  --no-header --extra dev --python-version 3.11 pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --no-header \
	  --extra dev --extra spark -c requirements.lock --python-version 3.11 pyproject.toml -o requirements-spark.lock

prices: setup
	@$(BIN)/python seeds/prices/write_prices.py $(if $(RELEASED),--released-on $(RELEASED))

clean:
	@rm -rf .warehouse dbt_project/target exports/sets exports/latest exports/[0-9]*-*
