#!/bin/sh
# Resolves the dependencies anew for every system we support. The files hold versions and hashes, and name no address.
set -eu
cd "$(dirname "$0")/.."
lock() {
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
        --python-version 3.11 "$@"
}
lock pyproject.toml --output-file requirements/app.txt
.venv/bin/python installer/serve_requirements.py
lock pyproject.toml --extra camera --extra dev --extra lite --extra tensorboard --extra timm --output-file requirements/dev.txt
.venv/bin/uv --version | sed 's/uv \([0-9.]*\).*/uv==\1/' | lock - --output-file requirements/uv.txt
lock benchmarks/peers/requirements.in --constraint requirements/dev.txt --output-file requirements/bench.txt
