# Everything happens in .venv of this checkout; `make test PYTHON=python3.12` has an environment of its own, beside it.
# Works with GNU make 3.81 (macOS) and newer.

PYTHON :=
VENV := .venv$(addprefix -,$(notdir $(PYTHON)))
BIN := $(VENV)/bin
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off

# Each worker would compile every test and every package anew, which takes longer than many of the tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-types test-js test-slow test-all test-kill test-xinference coverage bench bench-chat bench-journal bench-page soak specs plots pictures clean

# Four at once, on two cores too: tests wait more than they compute.
PYTEST := $(BIN)/python -m pytest --durations=15 --durations-min=1
PARALLEL := -n 4

help:
	@echo 'make run               open the page on the demo engine: http://127.0.0.1:8000'
	@echo 'make test              check style and types, then run every test that needs nothing but itself'
	@echo 'make test-js           check style, types and units of the browser side; needs npm'
	@echo 'make test-slow         run the tests with processes, kills, a browser, pip and node; some minutes'
	@echo 'make test-all          both: every test that needs no Xinference'
	@echo 'make test PYTHON=...   the same on another Python, in an environment of its own'
	@echo 'make test-kill         kill the server 50 times and cut its line 200 times; some three minutes'
	@echo 'make test-xinference   install Xinference 4.1.0 (2 GB, kept in the user cache), then test on it'
	@echo 'make coverage          tell which lines and branches the tests of this process take'
	@echo 'make bench             measure costs and capacity beside a bare handler: QUICK=1, SCENARIO=cost, WRITE=1 ...'
	@echo 'make bench-journal     measure what it costs to lose nothing'
	@echo 'make bench-page        measure the page in Chromium: loaded over a slow line, with 2,000 images, with 200 in flight'
	@echo 'make soak MINUTES=60   let 200 people use a server for an hour, which must then be as before'
	@echo 'make specs             write docs/specs anew from the structs of the protocol'
	@echo 'make plots             write the plots of docs anew, of the scheduler and of what make bench WRITE=1 measured'
	@echo 'make pictures          take the pictures of the page in docs/pictures anew'
	@echo 'make clean             remove every environment and everything that was built'

run: $(VENV)/.ready-to-run
	$(BIN)/xinflight serve --demo

test: $(VENV)/.ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Beside each other: neither keeps two cores busy.
	@$(MAKE) -s --jobs 2 test-types test-js
	$(PYTEST) $(PARALLEL) --dist worksteal -m 'not process and not browser and not slow and not xinference'

test-slow: $(VENV)/.ready-to-test
	$(PYTEST) $(PARALLEL) --dist loadgroup -m '(process or browser or slow) and not xinference'

test-all: test test-slow

test-types: $(VENV)/.ready-to-test
	$(BIN)/mypy

# Skipped without npm, but not in CI.
test-js:
	@if command -v npm >/dev/null; then $(MAKE) -s node_modules/.ready && $(MAKE) -s js-lint js-types js-unit; \
	elif [ "$$CI" = true ]; then echo 'The browser side must be checked in CI, and npm is not installed' >&2; exit 1; \
	else echo 'Skipped the checks of the browser side: npm is not installed'; fi

js-%:
	@npm run --silent $*

node_modules/.ready: package-lock.json
	@echo '== Installing what checks the browser side into node_modules (once)'
	@npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test-kill: $(VENV)/.ready-to-test
	XINFLIGHT_TEST_KILLS=50 XINFLIGHT_TEST_CUTS=200 XINFLIGHT_TEST_AWAY=20 $(BIN)/python -m pytest -s \
	  tests/test_kill.py tests/test_outage.py

test-xinference: $(VENV)/.ready-to-test
	$(BIN)/python tests/xinference_install.py
	$(PYTEST) -m xinference

coverage: $(VENV)/.ready-to-test
	$(BIN)/python -m pytest $(PARALLEL) --dist worksteal --cov --cov-report=term:skip-covered \
	  -m 'not process and not browser and not xinference'

# SCENARIO, ROUNDS, QUICK, WRITE, BASE, CLIENTS and SECONDS are options (tests/bench/options.py).
bench: $(VENV)/.ready-to-test
	PYTHONPATH=tests BASE='$(BASE)' $(BIN)/python -m bench.run

# CHATS, RATE, SECONDS and ROUNDS are options (tests/bench/chat.py).
bench-chat: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m bench.chat

# MINUTES, CLIENTS, WARM_UP and OUT are options (tests/soak/run.py).
soak: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m soak.run

bench-journal: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m bench.journal

# ROUNDS, IMAGES, SIZE and FLIGHTS are options (tests/bench/page.py).
bench-page: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m bench.page

specs: $(VENV)/.ready-to-run
	$(BIN)/python -m xinflight.specs docs/specs

plots: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m fairness_plot docs/fairness.svg
	PYTHONPATH=tests $(BIN)/python -m bench.pages

pictures: $(VENV)/.ready-to-test
	PYTHONPATH=tests $(BIN)/python -m pictures

clean:
	rm -rf .venv .venv-* node_modules build dist server/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

# A stamp says that a step is done; it is done again when the packaging files change. The test tools bring all extras.
$(VENV)/.ready-to-run: setup.cfg pyproject.toml $(VENV)/.made
	@echo '== Installing xinflight with all extras into $(VENV) (once)'
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.ready-to-test: setup.cfg pyproject.toml $(VENV)/.made
	@echo '== Installing xinflight with the test tools into $(VENV) (once)'
	$(PIP) --editable '.[test]'
	@touch $(VENV)/.ready-to-run $@

# A Python on PATH may be a shim without a Python behind it, or (on Debian) may be unable to make a venv: only
# trying tells.
$(VENV)/.made:
	@for python in $(PYTHONS); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	  echo "== Making $(VENV) with $$python ($$($$python --version))"; \
	  rm -rf $(VENV); \
	  if $$python -m venv $(VENV) && $(BIN)/python -m pip --version; then touch $@; exit 0; fi; \
	done; \
	rm -rf $(VENV); \
	if uv --version >/dev/null 2>&1; then \
	  echo '== Making $(VENV) with uv'; \
	  if uv venv --seed --python '$(or $(PYTHON),>=3.11)' $(VENV); then touch $@; exit 0; fi; \
	fi; \
	echo 'No Python >= 3.11 here can make a venv. This line gets one, then run make again in a new terminal:' >&2; \
	echo '  curl -LsSf https://astral.sh/uv/install.sh | sh' >&2; \
	exit 1
