# Everything happens in .venv of this checkout. Works with GNU make 3.81 (macOS) and newer.

VENV := .venv
BIN := $(VENV)/bin
PYTHONS := python3.13 python3.12 python3.11 python3 python
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off

.DEFAULT_GOAL := help
.PHONY: help run test test-kill test-xinference bench-journal clean

help:
	@echo 'make run               open the page on the demo engine: http://127.0.0.1:8000'
	@echo 'make test              check style and types, then run every test that needs no Xinference'
	@echo 'make test-kill         kill the server 50 times and cut its line 200 times; some three minutes'
	@echo 'make test-xinference   install Xinference 4.1.0 (2 GB, kept in the user cache), then test on it'
	@echo 'make bench-journal     measure what it costs to lose nothing'
	@echo 'make specs             write docs/specs anew from the structs of the protocol'
	@echo 'make clean             remove .venv and everything that was built'

run: $(VENV)/.ready-to-run
	$(BIN)/xinflight serve --demo

test: $(VENV)/.ready-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not xinference'

test-kill: $(VENV)/.ready-to-test
	XINFLIGHT_TEST_KILLS=50 XINFLIGHT_TEST_CUTS=200 $(BIN)/python -m pytest -s tests/test_kill.py

test-xinference: $(VENV)/.ready-to-test
	$(BIN)/python tests/xinference_install.py
	$(BIN)/python -m pytest -m xinference

bench-journal: $(VENV)/.ready-to-test
	$(BIN)/python tests/bench_journal.py

specs: $(VENV)/.ready-to-run
	$(BIN)/python -m xinflight.specs_write docs/specs

clean:
	rm -rf $(VENV) build dist server/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

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
	  if uv venv --seed --python '>=3.11' $(VENV); then touch $@; exit 0; fi; \
	fi; \
	echo 'No Python >= 3.11 here can make a venv. This line gets one, then run make again in a new terminal:' >&2; \
	echo '  curl -LsSf https://astral.sh/uv/install.sh | sh' >&2; \
	exit 1
