#!/bin/sh
# From a bare machine with Python and make to an environment in .venv that runs, tests and builds Desktop FT.
# PYTHON names the interpreter; without it the newest fitting one is taken.
set -eu
cd "$(dirname "$0")/.."

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; }
python=""
for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    if command -v "$name" >/dev/null 2>&1 && fits "$name"; then python=$name; break; fi
done
if [ -z "$python" ]; then
    echo "Desktop FT needs Python 3.11 to 3.14, and none was found. Install python3.11, or name one: make setup PYTHON=/path" >&2
    exit 1
fi

extra=""
"$python" -c 'import ensurepip' 2>/dev/null || extra="python3-venv"
sh installer/debian.sh $extra

if ! .venv/bin/python -c '' 2>/dev/null || ! fits .venv/bin/python; then
    "$python" -m venv --clear .venv || {
        echo "$python cannot make a virtual environment. Install its venv module (on Debian: python3-venv) and try again." >&2
        exit 1
    }
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/uv.txt
# Compiled at install: where bytecode is not kept, importing torch takes twice as long at every start.
UV_COMPILE_BYTECODE=1 .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
