# Two commands show everything: `make demo` and `make test`. The rest is for working on it.
# It needs only Python 3.11 and make; all files are written to .venv and var.

# The Python that creates the virtual environment.
PYTHON ?= python3
# The recipes start modules, because console scripts do not work in folders with spaces.
VENV := .venv/bin/python
# The started program ends when this make ends, so that no process is left behind.
END_WITH_MAKE := HOLDFAST_OWNER=$$PPID exec
# Variables with which the settings can be read. Nothing connects to the addresses in them.
WITH_SETTINGS = env $$($(VENV) -m sandbox.environment)
# The shapes of all sagas, which may not change under a version: see docs/changing-a-saga.md.
SAGA_VERSIONS := config/saga_versions.json
EVENT_CATALOGUE := config/event_catalogue.json

.DEFAULT_GOAL := help
.PHONY: help smoke demo up down check manage bench bench-waits prove prove-lock chaos properties screenshots fuzz test lint words versions events settings openapi format clean refuse-live-keys

help: refuse-live-keys ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## Start everything, place orders, inject faults, stay up
	@$(END_WITH_MAKE) $(VENV) -m sandbox demo

smoke: .venv/installed ## Place orders on fresh data, then stop; status 0 if every outcome is as expected
	@$(END_WITH_MAKE) $(VENV) -m sandbox smoke

up: .venv/installed ## Start everything until Ctrl-C, data in var/up: PORT=8000; WITH=fraud,warehouse:8123 adds services
	@$(END_WITH_MAKE) $(VENV) -m sandbox up

down: .venv/installed ## Stop the running `up` or `demo` from another terminal; wait until all has ended
	@$(VENV) -m sandbox down

check: .venv/installed ## Compare the running system's orders, payments and stock with Stripe's ledger
	@$(VENV) -m sandbox check

manage: .venv/installed ## Run a manage.py command on the running system: ARGS="sagas show"
	@$(VENV) -m sandbox manage $(ARGS)

bench: .venv/installed ## Measure orders per second and latency: CLIENTS=48 or RATE=20, SECONDS=20, LATENCY_MS=0, COMPARE=old.json
	@$(END_WITH_MAKE) $(VENV) -m benchmarks

bench-waits: .venv/installed ## Measure timers, nudges, and a million waiting runs: TIMERS=100000, NUDGES=300, WAITING=1000000
	@$(END_WITH_MAKE) $(VENV) -m benchmarks.waits

prove: .venv/installed ## Inject a fault at every point of every scenario: ONLY="paid/*" selects some
	@$(END_WITH_MAKE) $(VENV) -m proof run --only "$(ONLY)" --report var/prove.json
	@$(if $(ONLY),true,$(VENV) -m pytest -q -m prove)
	@$(if $(ONLY),true,$(END_WITH_MAKE) $(VENV) -m proof.protocol --deep --no-traces)

prove-lock: .venv/installed ## Accept the present fault points as reviewed, and show the changes
	@$(END_WITH_MAKE) $(VENV) -m proof lock

chaos: .venv/installed ## Kill, pause and disconnect everything under load: MINUTES=3 SEED=1 RATE=5 BUG=name
	@$(END_WITH_MAKE) $(VENV) -m proof.chaos --minutes $(or $(MINUTES),3) --seed $(or $(SEED),1) \
		$(if $(RATE),--rate $(RATE)) $(if $(BUG),--bug $(BUG))

test: lint ## Run the linters and all tests, except those that only `make prove` runs
	@$(VENV) -m pytest -m "not prove" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

screenshots: .venv/installed ## Write a picture of each page of the desk to var/screenshots
	@mkdir -p var/screenshots
	@SCREENSHOTS=$(CURDIR)/var/screenshots REQUIRE_BROWSER=1 $(VENV) -m pytest -q tests/browser/test_pages.py

properties: .venv/installed ## Try thousands of random order histories: SEED=1 repeats a run
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed"; \
	HYPOTHESIS_PROFILE=thorough $(VENV) -m pytest tests/properties --timeout 0 --hypothesis-seed $$seed

fuzz: .venv/installed ## Send the API generated valid and invalid requests: EXAMPLES=1000 SEED=1
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed"; \
	EXAMPLES=$(or $(EXAMPLES),1000) SEED=$$seed $(VENV) -m pytest tests/openapi/test_fuzzing.py

lint: .venv/installed ## Run the linters, the type checker, the import contracts, the prose and the versions of sagas
	@$(VENV) -m ruff check --quiet .
	@$(VENV) -m ruff format --check --quiet .
	@$(WITH_SETTINGS) $(VENV) -m mypy --no-error-summary .
	@output=$$($(VENV) -m tests.architecture.import_contracts) || { echo "$$output"; exit 1; }
	@$(VENV) -m tests.architecture.plain_words check
	@$(WITH_SETTINGS) $(VENV) manage.py sagas shapes --check $(SAGA_VERSIONS)
	@$(WITH_SETTINGS) $(VENV) manage.py events catalogue --check $(EVENT_CATALOGUE)

words: .venv/installed ## Record that fewer banned phrases are left: lowers numbers, never raises one
	@$(VENV) -m tests.architecture.plain_words record

versions: .venv/installed ## Record new versions of sagas, and forget those that the code no longer has
	@$(WITH_SETTINGS) $(VENV) manage.py sagas shapes --record $(SAGA_VERSIONS)

events: .venv/installed ## Record new event types, and write docs/events.md and docs/asyncapi.yaml anew
	@$(WITH_SETTINGS) $(VENV) manage.py events catalogue --record $(EVENT_CATALOGUE)
	@mkdir -p var && $(WITH_SETTINGS) $(VENV) manage.py events page > var/events.md
	@$(WITH_SETTINGS) $(VENV) manage.py events asyncapi > docs/asyncapi.yaml
	@mv var/events.md docs/events.md

settings: .venv/installed ## Write docs/configuration.md anew from the code
	@mkdir -p var && $(WITH_SETTINGS) $(VENV) manage.py describe_settings > var/configuration.md
	@mv var/configuration.md docs/configuration.md

openapi: .venv/installed ## Write docs/openapi.yaml anew from the code
	@$(WITH_SETTINGS) $(VENV) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

format: .venv/installed ## Format the code
	@$(VENV) -m ruff check --quiet --fix-only .
	@$(VENV) -m ruff format --quiet .

clean: refuse-live-keys ## Remove .venv, var and all caches
	@rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

refuse-live-keys:
	@$(PYTHON) -m sandbox.live_keys

.venv/installed: requirements.txt requirements-dev.txt | refuse-live-keys
	@echo "Installing the requirements into .venv. This happens only once."
	@$(PYTHON) -m venv .venv
	@$(VENV) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@# So that plain `pytest` finds the plugin that starts its servers.
	@echo ../../../.. >"$$(echo .venv/lib/python3*/site-packages)/this-project.pth"
	@touch $@
