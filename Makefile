# Sync Calendar. `make run` is all that a practice needs; `make help` lists the rest.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
ARGS ?=

# Each process gets neighbours, so that what a file shares is made once; the quicker one takes over.
TWO_AT_ONCE = -n 2 --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test bar fuzz lint bench soak lock sbom audit system-packages

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

run: .venv/runtime ## set up what is missing and serve on 127.0.0.1:8000 (HOST and PORT change that)
	@exec $(BIN)/flask serve

test: system-packages ## run every test (ARGS="-k feed" for some)
	@$(BIN)/pytest $(TWO_AT_ONCE) $(ARGS)

bar: system-packages ## run what proves the security bar and print its table (BAR=FILE writes it as Markdown)
	@$(BIN)/python -m pytest $(TWO_AT_ONCE) -p tests.bar_table $(if $(BAR),--bar-table $(BAR)) $(ARGS)

fuzz: .venv/dev ## look for bytes at which importers or links fall over (SECONDS=120 for each of TARGETS)
	@.ci/fuzzer
	@for target in $(TARGETS); do echo "Fuzzing: $$target" && \
		PYTHONPATH=.venv/fuzz:. $(BIN)/python -m tests.fuzz $$target $(SECONDS) || exit 1; done

SECONDS ?= 120
TARGETS ?= calendar table spelling door

lint: .venv/dev ## check style, types and the architecture
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/test_architecture.py

bench: .venv/dev ## measure the feed, the schedule, imports and sync against what they cannot do without
	@$(BIN)/python -m benchmarks.feed $(ARGS)
	@$(BIN)/python -m benchmarks.busy
	@$(BIN)/python -m benchmarks.schedule
	@$(BIN)/python -m benchmarks.imports
	@$(BIN)/python -m benchmarks.sync

soak: system-packages ## run every test with a hundred times the examples (MINUTES=30: drive and kill the product for so long)
	@HYPOTHESIS_PROFILE=soak SOAK_MINUTES=$(MINUTES) $(BIN)/pytest $(TWO_AT_ONCE) \
		$(if $(MINUTES),tests/machine tests/test_kill.py) $(ARGS)

system-packages: .venv/dev ## install the browser, servers and calendar reader that tests use
	@.ci/system-packages
	@.ci/node-packages
	@.ci/caldav-reader

sbom: .venv/dev ## write .ci/sbom.json: what runs in production, by version and licence (CycloneDX)
	@$(BIN)/python .ci/sbom > .ci/sbom.json

audit: $(BIN)/python ## ask a public database for known weaknesses of the pinned packages (internet)
	@.ci/audit

lock: .venv/uv ## pin the newest versions of all dependencies, for every platform
	$(BIN)/uv $(LOCK) --output-file .ci/requirements.txt
	$(BIN)/uv $(LOCK) --extra dev --constraint .ci/requirements.txt --output-file .ci/requirements-dev.txt
	$(BIN)/uv $(subst pyproject.toml,.ci/requirements-caldav.in,$(LOCK)) --output-file .ci/requirements-caldav.txt
	$(BIN)/uv $(subst pyproject.toml,.ci/requirements-audit.in,$(LOCK)) --output-file .ci/requirements-audit.txt

LOCK = pip compile pyproject.toml --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --quiet

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.venv/runtime: .ci/requirements.txt | $(BIN)/python
	@echo "Installing what Sync Calendar needs into .venv …" >&2
	@$(INSTALL) --require-hashes --requirement $<
	@touch $@

.venv/dev: .ci/requirements-dev.txt .ci/requirements.txt | $(BIN)/python
	@echo "Installing what the tests need into .venv …" >&2
	@$(INSTALL) --require-hashes --requirement $<
	@touch .venv/runtime $@

.venv/uv: | $(BIN)/python
	@$(INSTALL) uv
	@touch $@

$(BIN)/python:
	@$(or $(PYTHON),python3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sync Calendar needs Python 3.11 or later; name one, such as make run PYTHON=python3.12." >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv." >&2; \
		exit 1; }
