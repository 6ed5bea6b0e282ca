# Everything a newcomer needs: make demo, make test. Python >= 3.11 and make are enough; uv is used where present.
SHELL := /bin/sh
PYTHON ?= python3
PORT ?= 8000
SECONDS ?= 3600
RUNS ?= 10
STAMP := .venv/.installed

# The tests start hundreds of processes, each of which would compile the package anew where a machine forbids to keep that.
unexport PYTHONDONTWRITEBYTECODE

HOSTILE := tests/security tests/web/test_access.py tests/web/test_straight.py tests/e2e/test_interface.py
STORES := tests/e2e/test_moving.py tests/e2e/test_outages.py tests/e2e/test_unfit_store.py tests/simulation \
	tests/flows/test_store_faults.py tests/flows/test_store_replies.py tests/flows/test_unwilling_store.py tests/flows/test_toxics.py \
	tests/flows/test_admit.py tests/flows/test_backup.py tests/store/test_load.py tests/store/test_slow_sync.py \
	tests/store/test_durability.py tests/store/test_embedded.py tests/doctor/test_stores.py
KEPT := $(addprefix tests/browser/,test_snippets.py test_tag_counts.py test_tag_fills.py)
PAGES := tests/console tests/proxies tests/bench/test_tag.py $(filter-out $(KEPT),$(wildcard tests/browser/test_*.py)) \
	$(addprefix tests/e2e/,test_demo.py test_embed.py test_examples.py) $(addprefix tests/web/,test_pairs.py test_pictures.py test_widths.py)
COMMANDS := $(addprefix tests/e2e/,test_api_examples.py test_availability.py test_command_line.py test_doctor.py test_explain.py \
	test_metrics.py test_process.py test_users.py)
KILLS := tests/chaos tests/e2e/test_workers.py

.PHONY: install demo test lint tag pictures commands pages security stores chaos soak
install: $(STAMP)
	@:

$(STAMP): pyproject.toml uv.lock requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "adserve needs Python 3.11 or newer, and '$(PYTHON)' is not: install one (Debian: apt install python3 python3-venv)" >&2; \
	  echo "or name the one to use, as in: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	@echo 'Installing the locked dependencies into .venv: a minute or two'
	@if command -v uv >/dev/null; then \
	  UV_PROJECT_ENVIRONMENT=.venv uv sync --frozen --all-groups --extra embedded --python "$$(command -v $(PYTHON))"; \
	else \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' has no venv module: install it (Debian: apt install python3-venv), or install uv" >&2; exit 1; }; \
	  $(PYTHON) -m venv .venv && .venv/bin/python -m pip install -q --require-hashes -r requirements.lock && \
	  .venv/bin/python -m pip install -q --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

demo: install
	.venv/bin/adserve demo --port $(PORT)

test: lint
	.venv/bin/pytest -q -n 3 --dist worksteal $(patsubst %,--ignore=%,tests/failover $(KILLS) $(HOSTILE) $(STORES) $(PAGES) $(COMMANDS))

# The service and the command line as processes, and what workers tell of themselves.
commands: install
	.venv/bin/pytest -q -n 3 --dist worksteal $(COMMANDS)

# The console, the demo, every example, pictures and hostile markup, most of it in a real browser and behind real proxies.
pages: install
	.venv/bin/pytest -q -n 2 --dist worksteal $(PAGES)

# Hostile requests to every route, and requests drawn from the description of the interface.
security: install
	.venv/bin/pytest -q -n 3 --dist worksteal $(HOSTILE)

COUNTING := tests/flows tests/store/test_ledger.py tests/store/test_reports.py tests/store/test_rollup.py \
	tests/store/test_catalog.py tests/store/test_client.py tests/web/test_management.py

stores: install
	.venv/bin/pytest -q -n 3 --dist worksteal $(STORES)
	for kind in redis cluster sentinel; do ADSERVE_TEST_STORE=$$kind .venv/bin/pytest -q -n 3 $(COUNTING) || exit 1; done
	.venv/bin/pytest -q -n 2 tests/failover

chaos: install
	ADSERVE_CHAOS_RUNS=$(RUNS) .venv/bin/pytest -q -rP $(KILLS) tests/failover tests/e2e/test_outages.py \
	  tests/flows/test_store_replies.py

soak: install
	ADSERVE_SOAK_S=$(SECONDS) .venv/bin/pytest -q -s tests/soak/soak.py

# The files of the browser tag that are served, out of their sources. A test builds them again and compares.
tag: install
	.venv/bin/python -m scripts.build_tag

# Those of docs/console.md, of a demo in a real browser.
pictures: install
	.venv/bin/python -m scripts.console_pictures

lint: install
	.venv/bin/ruff check
	.venv/bin/mypy
