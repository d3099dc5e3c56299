# Two commands show everything: `make demo` and `make test`. The rest is for working on it.
# Nothing but Python 3.11 and make is needed; everything goes into .venv and var.

PYTHON ?= python3
# The recipes start programs by their modules: a console script cannot be run from every folder.
VENV := .venv/bin/python
# Ties what is started to this very make, so that it cannot be left behind.
OWNED := HOLDFAST_OWNER=$$PPID exec
# The type checker reads the settings, and connects to nothing.
READABLE_SETTINGS = env $$($(VENV) -m sandbox.environment)

.DEFAULT_GOAL := help
.PHONY: help smoke demo up check manage bench prove prove-lock chaos properties screenshots fuzz test lint words format clean refuse-live-keys

help: refuse-live-keys ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## Start everything, drive orders through it, leave it running
	@$(OWNED) $(VENV) -m sandbox demo

smoke: .venv/installed ## The same on fresh data: ends by itself, status 0 if all went as it must
	@$(OWNED) $(VENV) -m sandbox smoke

up: .venv/installed ## Start everything until Ctrl-C; data stays in var/up. WITH=fraud,warehouse:8123 adds services
	@$(OWNED) $(VENV) -m sandbox up

check: .venv/installed ## Compare the running system's books with the bank's
	@$(VENV) -m sandbox check

manage: .venv/installed ## Run a command of the application on the running system: ARGS="sagas show"
	@$(VENV) -m sandbox manage $(ARGS)

bench: .venv/installed ## Measure it: CLIENTS=48 or RATE=20, SECONDS=20, LATENCY_MS=0, COMPARE=old.json
	@$(OWNED) $(VENV) -m benchmarks

prove: .venv/installed ## Strike every moment of every scenario in every way: ONLY="paid/*" for some of it
	@$(OWNED) $(VENV) -m proof run --only "$(ONLY)" --report var/prove.json
	@$(if $(ONLY),true,$(OWNED) $(VENV) -m proof bugs)
	@$(if $(ONLY),true,$(VENV) -m pytest -q -m prove)
	@$(if $(ONLY),true,$(OWNED) $(VENV) -m proof.protocol --deep --no-traces)

prove-lock: .venv/installed ## Take the fault points of today for reviewed, and show what that changes
	@$(OWNED) $(VENV) -m proof lock

chaos: .venv/installed ## Kill, pause and cut everything under load: MINUTES=3 SEED=1 RATE=5 BUG=name
	@$(OWNED) $(VENV) -m proof.chaos --minutes $(or $(MINUTES),3) --seed $(or $(SEED),1) \
		$(if $(RATE),--rate $(RATE)) $(if $(BUG),--bug $(BUG))

test: lint ## Run all checks and tests, without those that only `make prove` runs
	@$(VENV) -m pytest -m "not prove" -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

screenshots: .venv/installed ## Write a picture of each page of the desk to var/screenshots
	@mkdir -p var/screenshots
	@SCREENSHOTS=$(CURDIR)/var/screenshots REQUIRE_BROWSER=1 $(VENV) -m pytest -q tests/browser/test_pages.py

properties: .venv/installed ## Try thousands of random histories of orders; SEED=1 chooses them
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed"; \
	HYPOTHESIS_PROFILE=thorough $(VENV) -m pytest tests/properties --timeout 0 --hypothesis-seed $$seed

fuzz: .venv/installed ## Send the API whatever its document allows and forbids: EXAMPLES=1000 SEED=1
	@seed=$${SEED:-$$(date +%s)}; echo "SEED=$$seed"; \
	EXAMPLES=$(or $(EXAMPLES),1000) SEED=$$seed $(VENV) -m pytest tests/openapi/test_fuzzing.py

lint: .venv/installed ## Run the linters, the type checker, the import contracts, the check of plain words
	@$(VENV) -m ruff check --quiet .
	@$(VENV) -m ruff format --check --quiet .
	@$(READABLE_SETTINGS) $(VENV) -m mypy --no-error-summary .
	@said=$$($(VENV) .venv/bin/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	@$(VENV) -m tests.architecture.plain_words check

words: .venv/installed ## Record that fewer banned phrases are left: lowers the numbers, raises none
	@$(VENV) -m tests.architecture.plain_words record

format: .venv/installed ## Format the code
	@$(VENV) -m ruff check --quiet --fix-only .
	@$(VENV) -m ruff format --quiet .

clean: refuse-live-keys ## Remove .venv, var and all caches
	@rm -rf .venv var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

refuse-live-keys:
	@$(PYTHON) -m sandbox.live_keys

.venv/installed: requirements.txt requirements-dev.txt | refuse-live-keys
	@echo "Installing the requirements into .venv; this is done once."
	@$(PYTHON) -m venv .venv
	@$(VENV) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@# So that plain `pytest` finds the plugin that brings its servers.
	@echo ../../../.. >"$$(echo .venv/lib/python3*/site-packages)/this-project.pth"
	@touch $@
