#!/bin/sh
# What the tests of a bundle's programs need, into build/programs: ONNX Runtime's headers and library for C++, and the packages for
# JavaScript. What cannot be had is said, and its test skips.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
into="$root/build/programs"
mkdir -p "$into/javascript" "$into/onnxruntime/lib"
sh "$here/debian.sh" g++ cmake make libstb-dev

cp "$root/tests/programs/package.json" "$root/tests/programs/package-lock.json" "$into/javascript/"
(cd "$into/javascript" && npm ci --ignore-scripts --no-audit --no-fund --silent) || echo "No JavaScript packages: its program is not tested." >&2

# The library is the one that Python uses. Its headers come with no package of this Debian, but with the next one.
library=$(find "$root/.venv/" -path '*onnxruntime/capi/libonnxruntime.so.*' | head -n 1)
[ -n "$library" ] || { echo "No library of ONNX Runtime: the C++ program is not tested." >&2; exit 0; }
for name in libonnxruntime.so libonnxruntime.so.1; do ln -sf "$library" "$into/onnxruntime/lib/$name"; done
[ -z "$(find "$into/onnxruntime" -name onnxruntime_cxx_api.h)" ] || exit 0
apt="$into/apt"
mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
sed 's/bookworm/trixie/g' /etc/apt/sources.list.d/debian.sources >"$apt/parts/debian.sources" 2>/dev/null || true
options="-qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$apt/parts -o Dir::State::lists=$apt/lists"
options="$options -o Dir::State::status=/dev/null -o Dir::Cache=$apt/cache -o APT::Sandbox::User=root"
if apt-get $options update && (cd "$apt" && apt-get $options download libonnxruntime-dev) && dpkg -x "$apt"/libonnxruntime-dev*.deb "$apt/files"; then
    cp -r "$apt/files/usr/include" "$into/onnxruntime/"
else
    echo "No headers of ONNX Runtime: the C++ program is not tested." >&2
fi
