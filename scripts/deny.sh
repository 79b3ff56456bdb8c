#!/usr/bin/env bash
# Runs cargo-deny (advisories, licences, bans, sources) if it is installed; `make test` checks licences, bans and
# sources without it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo-deny >/dev/null; then
  echo "cargo-deny is not installed: https://embarkstudios.github.io/cargo-deny/" >&2
  exit 1
fi
exec cargo deny check
