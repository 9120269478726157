# The two commands a newcomer needs: make demo, make test. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
N ?= 200
SEED ?= 1
FILES ?= 2000
HUGE_BYTES ?= 0
KINDS ?=

.PHONY: prove-sync help demo test test-all check bench prove-kills prove-round-trips prove-company clean lock setup setup-dev test-unit conformance job-docs

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 22

setup: $(VENV)/.base  ## make .venv with what SiteHaul needs
setup-dev: $(VENV)/.dev  ## make .venv with what tests, checks and benchmarks need

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "SiteHaul needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.base: $(VENV)/.python requirements/base.txt pyproject.toml
	@test -f $(VENV)/.dev || { echo "Installing the locked dependencies into $(VENV) (once; a minute or two) …"; $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/base.txt; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.python requirements/dev.txt pyproject.toml
	@echo "Installing the locked dependencies into $(VENV) (once; a minute or two) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.base

demo: setup  ## the whole job on a simulated Procore project, into ./demo
	@$(BIN)/sitehaul demo --folder demo

# More processes than cores: much of the time a test waits, for a limit to pass or a server to return.
test: setup-dev  ## the whole test suite
	@$(BIN)/python -m pytest -n 4 --dist loadgroup

test-all: setup-dev  ## the whole test suite with every server; root installs the missing ones (Debian packages, npm)
	@bash .ci/install-servers
	@SITEHAUL_TEST_ALL=1 $(BIN)/python -m pytest -n 4 --dist loadgroup

test-unit: setup-dev  ## the fast part: no servers
	@$(BIN)/python -m pytest tests/unit tests/architecture -q

conformance: setup-dev  ## the simulator's answers against Procore's OpenAPI description (needs node and npm)
	@bash tests/conformance/run.sh

check: setup-dev  ## lint, format, types, import contracts, dead code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture

bench: setup-dev  ## side by side with rclone; writes docs/benchmarks.md
	@$(BIN)/python -m benchmarks

prove-kills: setup-dev  ## N random SIGKILLs, each followed by a resume: make prove-kills N=200 SEED=1
	@$(BIN)/python -m benchmarks.prove_kills --kills $(N) --seed $(SEED)

prove-company: setup-dev  ## 40 projects, 50,000 files, one job, a small budget, kills: make prove-company SEED=1
	@$(BIN)/python -m benchmarks.prove_company --seed $(SEED)

prove-sync: setup-dev  ## N random histories of two-sided jobs, with outages and crashes: make prove-sync N=10000 SEED=1
	@$(BIN)/python -m benchmarks.prove_sync --histories $(N) --seed $(SEED)

prove-round-trips: setup-dev  ## into every kind of system and back: make prove-round-trips KINDS="smb s3" HUGE_BYTES=4400000000
	@$(BIN)/python -m benchmarks.prove_round_trips $(KINDS) --files $(FILES) --huge-bytes $(HUGE_BYTES)

job-docs: setup-dev  ## renew what docs/ says about the fields of job files, from their models
	@$(BIN)/sitehaul job schema > docs/.job.schema.json && mv docs/.job.schema.json docs/job.schema.json
	@$(BIN)/sitehaul job fields --into docs/jobs.md

lock:  ## renew requirements/*.txt from pyproject.toml (needs uv)
	uv pip compile pyproject.toml requirements/build.in --all-extras --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/base.txt
	uv pip compile pyproject.toml requirements/build.in --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q -o requirements/dev.txt

clean:  ## stop the demo's servers and remove everything made here
	@test ! -x $(BIN)/sitehaul || $(BIN)/sitehaul down --folder demo || true
	rm -rf demo $(VENV) .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
