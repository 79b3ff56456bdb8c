#!/usr/bin/env bash
# Runs the long forms of the tests: the same tests, told by GUIDEWAY_SOAK to go on for longer. Hours, not minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/prerequisites.sh
KUBECTL=$(scripts/kubectl.sh)
export KUBECTL GUIDEWAY_SOAK=1
cargo build --workspace --all-targets --locked
cargo test --workspace --locked --no-fail-fast -- --test-threads=2
