# Everything happens in .venv, made here. PYTHON chooses the interpreter (3.11, 3.12 or 3.13).
SHELL := /bin/bash
export PYTHON
BIN := .venv/bin
PLUGINS := $(sort $(wildcard plugins/*))
FIND_PYTHON = for p in $${PYTHON:-python3.11 python3.12 python3.13 python3}; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { echo "$$p"; exit; }; done; echo "enfold needs Python 3.11, 3.12 or 3.13; set PYTHON=/path/to/python" >&2; exit 1

.PHONY: help setup demo demo-cdisc test mutation torture bench check fmt docs lock clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

setup: .venv/.ready  ## make .venv and install everything from the lock

.venv/.ready: .lock/requirements.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .lock/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e . $(addprefix -e ./,$(PLUGINS))
	@touch $@

demo: setup  ## land, run and report the synthetic demo trial under .demo/
	@$(BIN)/python -m enfold.testing.demo.main .demo

demo-cdisc: setup  ## land and query the CDISC pilot study under .demo-cdisc/
	@$(BIN)/python -m enfold.testing.cdisc.main .demo-cdisc

test: setup  ## run every test
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

mutation: setup  ## change each rule in many small ways; worked examples must notice
	$(BIN)/python tests/mutation/mutate.py

torture: setup  ## faults in full: kills, failing calls, power loss, bit rot … (an hour or two)
	$(BIN)/python tests/faults/torture.py

bench: setup  ## what ledger, run and plugins cost, as ratios in one run (two hours)
	$(BIN)/python tests/bench/ledger.py
	$(BIN)/python tests/bench/startup.py
	$(BIN)/python tests/bench/run.py
	$(BIN)/python tests/bench/skew.py
	$(BIN)/python tests/bench/plugins.py 100000 1000000
	$(BIN)/python tests/bench/report.py
	$(BIN)/python tests/bench/increment.py
	$(BIN)/python tests/bench/alternatives.py
	$(BIN)/python tests/bench/growth.py

check: setup  ## lint, types, layers, generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m enfold.docs --check

fmt: setup  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## write the generated pages of docs/reference/
	$(BIN)/python -m enfold.docs

lock:  ## resolve the lock anew (needs uv on the path)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --all-extras -o .lock/requirements.txt pyproject.toml

clean:  ## remove .venv and what the demos made
	rm -rf .venv .demo .demo-cdisc
