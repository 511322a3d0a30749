#!/bin/sh
# Installs the Debian packages that are missing. Where it may not, it says which they are and goes on: the command line
# works without them; the window does not.
set -eu
here=$(dirname "$0")
command -v dpkg-query >/dev/null 2>&1 || exit 0
wanted="$(grep -v '^#' "$here/debian-packages.txt" | tr '\n' ' ') $*"
missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "The window and its tests need Debian packages that only an administrator can install. Please run:" >&2
    echo "    sudo apt-get install$missing" >&2
    exit 0
fi
echo "Installing Debian packages:$missing"
$as_root apt-get -qq update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
