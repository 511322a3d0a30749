# Every target installs what it needs first, and is quick when all is there already.
PYTHON ?=
BIN := .venv/bin
READY := .venv/.ready
export QT_LOGGING_RULES ?= qt.qpa.*=false

.PHONY: help setup demo run test slow lint bench lock clean
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
	$(BIN)/mypy desktop_ft plugins benchmarks
	$(BIN)/lint-imports

test: lint ## lint, then the tests, in minutes
	$(BIN)/python -m pytest -m "not slow"

slow: $(READY) ## the tests that take longer: real photos, many kills, every network
	$(BIN)/python -m pytest -m slow

bench: $(READY) ## time the main job; each line is one JSON document
	@for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

lock: $(READY) ## resolve the dependencies anew, into hashed requirements files that name no address
	sh installer/lock.sh

clean: ## remove what was installed and built
	rm -rf .venv build dist .mypy_cache .ruff_cache .hypothesis
