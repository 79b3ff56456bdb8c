#!/usr/bin/env bash
# Runs the Gateway API's conformance suite against three nodes, as root: the suite uses ports below 1024. With --report
# it also writes the report to docs/conformance/; with --only NAME it runs one test of the suite.
set -euo pipefail
cd "$(dirname "$0")/.."

report=
only=
while [[ $# -gt 0 ]]; do
  case $1 in
    --report) report=$PWD/docs/conformance && shift ;;
    --only) only=$2 && shift 2 ;;
    *) echo "usage: $0 [--report] [--only NAME]" >&2 && exit 2 ;;
  esac
done
if [[ $(id -u) -ne 0 ]]; then
  echo 'the conformance suite listens on ports 53, 80 and 443: run this as root' >&2
  exit 1
fi

target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$PWD/$target
folder=$target/conformance
log=$folder/suite.log
# Suites of two checkouts can run at once: each has its own loopback networks.
network=$((100 + $$ % 100))
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
go=$(scripts/go.sh)
export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -trimpath' CGO_ENABLED=0

cargo build --package guideway-node --locked
rm -rf "$folder"
mkdir -p "$folder"

cd conformance
unformatted=$("$go" run cmd/gofmt -l .)
if [[ -n $unformatted ]]; then
  printf 'not formatted by gofmt: conformance/%s\n' $unformatted >&2
  exit 1
fi
"$go" vet ./...
"$go" build -o "$folder/echo" ./cmd/echo
"$go" test -c -o "$folder/suite" .
[[ -n $report ]] && export GUIDEWAY_WRITE_PAGE=1
timeout 300 "$go" test -count=1 ./internal/... | grep -v 'no test files'

# The log is long; what failed is worth showing. The harness ends every process that it starts, also when it is ended.
if timeout --kill-after=30 540 "$folder/suite" -test.v -test.timeout 530s \
  -guideway "$target/debug/guideway" -echo "$folder/echo" -folder "$folder/nodes" \
  -base-address "127.0.$network.1" -guideway-version "$version" -only "$only" -report "$report" >"$log" 2>&1; then
  sed -n '/conformance report:/,/^---/p' "$log" | sed '/^---/d'
  echo "conformance: $(grep -c '^    --- PASS' "$log") tests passed; the log is $log"
else
  grep -E '^( *--- FAIL| +Error:| +Messages:|panic:|echo:)' "$log" | head -n 60 >&2 || tail -n 30 "$log" >&2
  echo "conformance failed; the log is $log" >&2
  exit 1
fi
