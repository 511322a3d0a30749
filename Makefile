# Every target installs what it needs first, and is quick when all is there already.
PYTHON ?=
BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv-bench/.ready
PROGRAMS_READY := build/programs/.ready
FOLDER ?= ../shared/data/hymenoptera
export QT_LOGGING_RULES ?= qt.qpa.*=false

.PHONY: help setup demo run test slow lint bench parity reliability translations lock clean
help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

setup: $(READY) ## install everything a fresh machine needs, into .venv

$(READY): pyproject.toml requirements/dev.txt requirements/uv.txt installer/setup.sh installer/debian.sh installer/debian-packages.txt
	@PYTHON="$(PYTHON)" sh installer/setup.sh && touch $(READY)

demo: $(READY) ## do the main job on the sample, without a screen
	@$(BIN)/desktop-ft demo

run: $(READY) ## open the window
	@$(BIN)/desktop-ft

lint: $(READY) ## style, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy desktop_ft plugins benchmarks installer resources/plugin_template
	$(BIN)/lint-imports

test: lint ## lint, then the tests, in minutes
	$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 8

slow: $(READY) $(PROGRAMS_READY) ## the tests that take longer: real photos, many kills, every network
	$(BIN)/python -m pytest -m slow

bench: $(READY) $(BENCH_READY) ## time everything, on FOLDER with train/ and val/ in it; makes docs/benchmarks.md
	PYTHONPATH=. $(BIN)/python benchmarks/run_all.py "$(FOLDER)"

parity: $(READY) ## train, export and compare every network on FOLDER, in hours; goes on where it ended; makes docs/exports.md
	PYTHONPATH=. $(BIN)/python -m benchmarks.bench_parity "$(FOLDER)" --keep

reliability: $(READY) ## try what strikes a run as often as is promised; makes docs/reliability.md
	$(BIN)/python -m tests.reliability --out docs/reliability.md

$(PROGRAMS_READY): installer/programs.sh tests/programs/package.json $(READY)
	@sh installer/programs.sh && touch $(PROGRAMS_READY)

$(BENCH_READY): requirements/bench.txt $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-bench
	UV_COMPILE_BYTECODE=1 $(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes -r requirements/bench.txt
	@touch $(BENCH_READY)

translations: $(READY) ## take new and changed texts over into resources/translations, and compile what is translated
	PYTHONPATH=. $(BIN)/python installer/translations.py

lock: $(READY) ## resolve the dependencies anew, into hashed requirements files that name no address
	sh installer/lock.sh

clean: ## remove what was installed and built
	rm -rf .venv .venv-bench build dist .mypy_cache .ruff_cache .hypothesis
