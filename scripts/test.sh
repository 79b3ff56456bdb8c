#!/usr/bin/env bash
# Installs what the tests need, checks the house, runs every test, and prints the seconds of each step.
# Without root it runs what it can, says what was left out, and exits 3.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(iproute2 nftables postgresql python3)
steps=()
left_out=()
skip=()

step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n==> %s\n' "$name"
  local code=0
  "$@" || code=$?
  steps+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
  if [[ $code -ne 0 ]]; then
    summary
    printf 'failed: %s\n' "$name" >&2
    exit 1
  fi
}

summary() {
  printf '\nseconds per step:\n'
  printf '%s\n' "${steps[@]}"
}

have_packages() {
  command -v ip >/dev/null && command -v nft >/dev/null && command -v python3 >/dev/null && have_postgres
}

have_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null
}

install_packages() {
  if have_packages; then
    echo "all there: ${packages[*]}"
    return
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}"
}

leave_out() {
  left_out+=("$2")
  skip+=(--skip "$1")
}

lint() {
  cargo fmt --all -- --check
  cargo clippy --workspace --all-targets --locked -- -D warnings
}

document() {
  RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
}

build() {
  cargo build --workspace --all-targets --locked
}

crate_tests() {
  cargo test --workspace --exclude guideway-chaos-tests --locked --no-fail-fast -- "${skip[@]}"
}

# Two clusters at a time: each is three processes that sync to disk.
end_to_end_tests() {
  cargo test --package guideway-chaos-tests --locked --no-fail-fast -- --test-threads=2 "${skip[@]}"
}

step 'prerequisites' scripts/prerequisites.sh
if [[ $(id -u) -eq 0 ]]; then
  step 'packages' install_packages
else
  leave_out needs_root 'tests that mount file systems or make network namespaces (needs_root_*): run make test as root'
  have_postgres || leave_out needs_postgres 'tests with a real PostgreSQL (needs_postgres_*)'
fi
if KUBECTL=$(scripts/kubectl.sh); then
  export KUBECTL
elif [[ $(id -u) -eq 0 ]]; then
  exit 1
else
  leave_out needs_kubectl 'tests with kubectl (needs_kubectl_*)'
fi

step 'format and lints' lint
step 'documentation' document
step 'build' build
step 'generated files' scripts/generated.sh --check
step 'tests of the crates' crate_tests
step 'tests of real clusters' end_to_end_tests
summary

if [[ ${#left_out[@]} -gt 0 ]]; then
  printf '\npassed, but not everything was run:\n'
  printf '  %s\n' "${left_out[@]}"
  echo 'as root these packages are installed first:'
  echo "  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
  exit 3
fi
