#!/usr/bin/env bash
# Builds Guideway and starts a three-node cluster on 127.0.0.1 to 127.0.0.3 with demo endpoints. Ctrl-C ends it.
# Arguments go to `guideway demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/prerequisites.sh
cargo build --package guideway-node --bin guideway
exec "${CARGO_TARGET_DIR:-target}/debug/guideway" demo "$@"
