#!/usr/bin/env bash
# Checks what `make demo` and `make test` need before anything else, and says how to get what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest_rust=$(sed -n 's/^rust-version = "1\.\([0-9]*\)"$/\1/p' Cargo.toml)
packages=()
missing=()

have() { command -v "$1" >/dev/null; }

have git || { missing+=(git); packages+=(git); }
have make || { missing+=(make); packages+=(make); }
have cc || { missing+=("a C compiler"); packages+=(gcc libc6-dev); }
have node || { missing+=(Node); packages+=(nodejs npm); }

if have cargo && have rustc; then
  rust=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\).*/\1/p')
  if [[ -n $rust && $rust -lt $oldest_rust ]]; then
    missing+=("Rust 1.$oldest_rust or newer (found 1.$rust)")
  fi
else
  missing+=("Rust 1.$oldest_rust or newer")
fi

if [[ ${#missing[@]} -gt 0 ]]; then
  {
    printf 'missing: %s\n' "${missing[@]}"
    [[ ${#packages[@]} -gt 0 ]] &&
      echo "  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
    [[ "${missing[*]}" == *Rust* ]] && echo "  Rust: https://rustup.rs, then: rustup default stable"
  } >&2
  exit 1
fi
