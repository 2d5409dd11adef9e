# The commands of README. Each works on a fresh clone: what it needs, it installs.
PYTHON ?= python3
BIN := .venv/bin
# Dagster's own notices that `dg` will follow `dagster`; nothing a user of ours should act on.
export PYTHONWARNINGS := ignore:Function,ignore:Parameter

.PHONY: run run-postgres ui ui-postgres test soak bench lint clean

run: .venv/installed
	@bash samples/run.sh

ui: .venv/installed
	@$(BIN)/dagster dev

run-postgres: .venv/installed-pgserver
	@$(BIN)/python samples/postgres.py bash samples/run.sh

ui-postgres: .venv/installed-pgserver
	@$(BIN)/python samples/postgres.py $(BIN)/dagster dev

test: .venv/installed-test
	@bash scout_assets_tests/install_browser.sh
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not soak"

soak: .venv/installed-test
	@$(BIN)/python -m pytest -m soak -s

bench: .venv/installed-bench
	@$(BIN)/python -m benchmarks

.venv/installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@$(BIN)/python -m scout_assets.domain.matching.prepare
	@touch $@

.venv/installed-test: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

.venv/installed-pgserver: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[pgserver]"
	@touch $@

.venv/installed-bench: .venv/installed-test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	@touch $@

clean:
	rm -rf .scout .tmp_dagster_home_*
