#!/usr/bin/env bash
# The long forms of the tests: a million entries through the store, a hundred thousand changes through client-go's
# informers, seventeen thousand sessions through two minutes of changes and through losses, ten renewals of certificates,
# and the tests of real clusters again and again (GUIDEWAY_SOAK_ROUNDS, 20). Needs root and what `make test` installs.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/prerequisites.sh
KUBECTL=$(scripts/kubectl.sh)
export KUBECTL
cargo build --workspace --all-targets --locked
GUIDEWAY_SOAK_ENTRIES=1000000 cargo test --package guideway-consensus --lib --locked bounded
# 50 000 new affinity entries a second for a minute; the time each waits for its pin is printed.
GUIDEWAY_SOAK=1 cargo test --package guideway-node --lib --locked pins::flood -- --nocapture
GUIDEWAY_SOAK=1 cargo test --package guideway-api --locked --test client_go
GUIDEWAY_SOAK=1 cargo test --package guideway-chaos-tests --locked --test sessions_stay --test node_loss --test renewals -- --test-threads=1
for ((round = 1; round <= ${GUIDEWAY_SOAK_ROUNDS:-20}; round++)); do
  echo "==> round $round"
  cargo test --package guideway-chaos-tests --locked -- --test-threads=2
done
