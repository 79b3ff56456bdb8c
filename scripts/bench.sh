#!/usr/bin/env bash
# The short form of the benchmarks: what the pure parts cost, and, where BENCH names the benchmark of proxies (its
# bench.py), the figures of a node beside its peers. docs/benchmarks.md says what each figure means.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo bench --package guideway-maglev --package guideway-model --package guideway-dataplane --bench table --bench state --bench session

if [[ -z ${BENCH:-} ]]; then
  printf '\nBENCH=/path/to/bench.py make bench  also sets a node beside HAProxy, nginx and sozu\n'
  exit 0
fi
cargo build --release --package guideway-node
BENCH_PLUGINS="$PWD/bench/plugin" "$BENCH" "${FIGURES:-tcp_crr,tcp_rr,udp_rr,sni}" --secs 1 --runs "${RUNS:-3}"
