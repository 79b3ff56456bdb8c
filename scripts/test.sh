#!/usr/bin/env bash
# Installs what the tests need, checks the house, runs every test, and prints the seconds of each step.
# Without root it installs nothing, runs what the machine can run, says what was left out, and exits 3; make, whose own
# status is 2 for every failure, shows it as "Error 3".
# With --list it says what would be run and left out, and runs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# Programs of these packages run as a test's own processes; a service that a package brings is neither started nor used.
packages=(bind9 bind9-dnsutils curl iproute2 mosquitto mosquitto-clients netcat-openbsd nftables openssl postgresql
  python3 python3-venv redis-server systemd tcpdump)

# What each test says it needs, beside root and kubectl. NEED: the programs that a test has in mind whose first lines say "Needs NEED".
declare -A programs=(
  [BIND]='named dig'
  [Mosquitto]='mosquitto mosquitto_pub mosquitto_sub'
  [Python]=python3
  [PostgreSQL]='postgres pgbench psql'
  [Redis]='redis-server redis-cli'
  [systemd]=systemd-analyze
  [tools]='curl ip nc nft openssl ss tcpdump'
)

list_only=
[[ ${1:-} == --list ]] && list_only=yes
steps=()
left_out=()
missing=()

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

# Debian keeps servers off the PATH of ordinary users, and PostgreSQL's in a folder for each version.
have() {
  command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] || compgen -G "/usr/lib/postgresql/*/bin/$1" >/dev/null
}

# Prints the programs of a need that are not there.
lacking() {
  local program
  for program in ${programs[$1]}; do
    have "$program" || printf '%s ' "$program"
  done
}

have_packages() {
  local need
  python3 -c 'import ensurepip, venv' 2>/dev/null || return 1
  for need in "${!programs[@]}"; do
    [[ -z $(lacking "$need") ]] || return 1
  done
}

install_packages() {
  if have_packages; then
    echo "all there: ${packages[*]}"
    return
  fi
  # Asked by the packages' own scripts whether their services may start; 101 says no.
  local policy=/usr/sbin/policy-rc.d code=0
  if [[ ! -e $policy ]]; then
    # shellcheck disable=SC2064  # the path is known now and not at the end
    trap "rm -f '$policy'" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update &&
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}" || code=$?
  trap - EXIT
  grep -qs '^exit 101$' "$policy" && [[ $(wc -l <"$policy") -eq 2 ]] && rm -f "$policy"
  return "$code"
}

# leave_out NEED SENTENCE: this machine has no NEED.
leave_out() {
  missing+=("$1")
  left_out+=("$2")
}

# Integration tests are the files in tests/, or folders in it with a main.rs.
test_sources() {
  compgen -G "$1/tests/*.rs" || true
  compgen -G "$1/tests/*/main.rs" || true
}

target_of() {
  local name=${1%/main.rs}
  name=${name##*/}
  echo "${name%.rs}"
}

# Whether this machine lacks something that a test says it needs.
is_left_out() {
  local need
  for need in "${missing[@]}"; do
    head -n 12 "$1" | grep -q "^//!.*Needs [^.]*\b$need\b" && return 0
  done
  return 1
}

# Fills `selection` with the arguments that make `cargo test` run what this machine can run of these folders. Crates that
# have a test of the same name need the same for it.
select_targets() {
  selection=()
  [[ ${#missing[@]} -eq 0 ]] && return
  selection=(--lib --bins)
  local folder source without=' '
  for source in $(for folder in */; do test_sources "${folder%/}"; done); do
    if is_left_out "$source"; then
      without+="$(target_of "$source") "
    fi
  done
  for source in $(for folder in "$@"; do test_sources "$folder"; done); do
    [[ $without == *" $(target_of "$source") "* ]] || selection+=(--test "$(target_of "$source")")
  done
  if [[ -n $list_only ]]; then
    echo "not run in ${*}:$(for source in $(for folder in "$@"; do test_sources "$folder"; done); do
      [[ $without == *" $(target_of "$source") "* ]] && printf ' %s' "$source"
    done)"
  fi
}

lint() {
  cargo fmt --all -- --check &&
    cargo clippy --workspace --all-targets --locked -- -D warnings
}

document() {
  RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
}

build() {
  cargo build --workspace --all-targets --locked
}

crates() {
  local manifest
  for manifest in */Cargo.toml; do
    [[ $manifest == chaos-tests/* ]] || echo "${manifest%/Cargo.toml}"
  done
}

crate_tests() {
  # shellcheck disable=SC2046  # folders of crates have no spaces
  select_targets $(crates)
  [[ -z $list_only ]] || return 0
  # Said twice, since bash does not stop at a failure within a function that is asked for its status.
  cargo test --workspace --exclude guideway-chaos-tests --locked --no-fail-fast "${selection[@]}" || return
  # A selection of targets leaves out the examples in the documentation.
  [[ ${#selection[@]} -eq 0 ]] || cargo test --workspace --exclude guideway-chaos-tests --locked --doc
}

# Two clusters at a time: each is three processes that sync to disk.
end_to_end_tests() {
  select_targets chaos-tests
  [[ -n $list_only ]] || cargo test --package guideway-chaos-tests --locked --no-fail-fast "${selection[@]}" -- --test-threads=2
}

look_around() {
  local need lacks
  [[ $(id -u) -eq 0 ]] && return
  leave_out root 'tests that mount file systems, capture packets, make network namespaces or listen below port 1024, and the
  conformance suite (they need root)'
  for need in "${!programs[@]}"; do
    lacks=$(lacking "$need")
    [[ -z $lacks ]] || leave_out "$need" "tests that need $need (not there: ${lacks% })"
  done
}

if [[ -z $list_only ]]; then
  step 'prerequisites' scripts/prerequisites.sh
  [[ $(id -u) -ne 0 ]] || step 'packages' install_packages
fi
look_around
if KUBECTL=$(scripts/kubectl.sh); then
  export KUBECTL
elif [[ $(id -u) -eq 0 ]]; then
  exit 1
else
  leave_out kubectl 'tests with the real kubectl'
fi
if GO=$(scripts/go.sh); then
  export GO
elif [[ $(id -u) -eq 0 ]]; then
  exit 1
else
  leave_out Go "tests with Kubernetes' Go client"
fi

if [[ -z $list_only ]]; then
  step 'format and lints' lint
  step 'documentation' document
  step 'build' build
  step 'generated files' scripts/generated.sh --check
fi
step 'tests of the crates' crate_tests
step 'tests of real clusters' end_to_end_tests
if [[ $(id -u) -eq 0 && -z $list_only ]]; then
  step 'conformance' scripts/conformance.sh
fi
summary

if [[ ${#left_out[@]} -gt 0 ]]; then
  printf '\n%s\n' "$([[ -n $list_only ]] && echo 'make test here leaves out:' || echo 'passed, but not everything was run:')"
  printf '  %s\n' "${left_out[@]}"
  echo 'as root these packages are installed first:'
  echo "  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
  exit 3
fi
