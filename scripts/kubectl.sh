#!/usr/bin/env bash
# Prints the path of a kubectl of version 1.29 or newer: the one on PATH, else one built from Kubernetes' own Go module
# into target/tools. Fails with the reason and with what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest_minor=29
built="$PWD/${CARGO_TARGET_DIR:-target}/tools/kubectl"
[[ ${CARGO_TARGET_DIR:-} == /* ]] && built="$CARGO_TARGET_DIR/tools/kubectl"

recent_enough() {
  local minor
  minor=$("$1" version --client --output=json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
  [[ -n $minor && $minor -ge $oldest_minor ]]
}

if found=$(command -v kubectl) && recent_enough "$found"; then
  echo "$found"
  exit
fi
if [[ -x $built ]] && recent_enough "$built"; then
  echo "$built"
  exit
fi

if ! go=$(scripts/go.sh); then
  cat >&2 <<EOF
kubectl 1.$oldest_minor or newer is needed by the tests; it is not on PATH, and there is no Go to build it with. Install:
  Debian 13 and newer:  apt-get install -y --no-install-recommends kubernetes-client
  any machine:          https://kubernetes.io/docs/tasks/tools/install-kubectl-linux/
EOF
  exit 1
fi

version=$(sed -n 's|^\tk8s.io/kubectl v0\.\(.*\)$|v1.\1|p' scripts/kubectl/go.mod)
echo "building kubectl $version with $go" >&2
mkdir -p "$(dirname "$built")"
minor=${version#v1.}
(cd scripts/kubectl && CGO_ENABLED=0 "$go" build -trimpath -o "$built" -ldflags "-s -w \
  -X k8s.io/component-base/version.gitVersion=$version \
  -X k8s.io/component-base/version.gitMajor=1 \
  -X k8s.io/component-base/version.gitMinor=${minor%%.*}" .) >&2
recent_enough "$built" || { echo "the kubectl built at $built does not run" >&2; exit 1; }
echo "$built"
