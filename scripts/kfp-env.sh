#!/usr/bin/env bash
# Makes sure that the tests have the kfp SDK: a virtualenv in the user's cache, made once. WHERRY_TEST_KFP
# names another place; what is there already and has this version is used as it is. With --local it also has
# what kfp.local needs for Docker, for the benchmarks.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

version=2.17.0 # as Version in dag/kfp/sdk
dir=${WHERRY_TEST_KFP:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry/kfp-$version}

main() {
  case "${1-}" in
    '') make_env ;;
    --local) make_env && add_docker ;;
    *) die "usage: scripts/kfp-env.sh [--local]" ;;
  esac
}

add_docker() {
  "$dir/bin/python" -c 'import docker' 2>/dev/null ||
    "$dir/bin/python" -m pip install --disable-pip-version-check --no-input -q 'docker==7.1.0' ||
    die "the Python package docker could not be installed into $dir"
}

make_env() {
  ready && return
  one_at_a_time kfp
  ready && return # another call has just made it
  [ -z "${WHERRY_TEST_KFP-}" ] || [ ! -e "$dir" ] || die "WHERRY_TEST_KFP is $dir, which is no virtualenv with kfp and kfp-kubernetes $version"
  python3 -c 'import venv, ensurepip' 2>/dev/null || get_python
  say "making a virtualenv with kfp $version for the tests: $dir"
  local log
  log=$(mktemp)
  rm -rf "$dir"
  if ! { python3 -m venv "$dir" &&
    "$dir/bin/python" -m pip install --disable-pip-version-check --no-input -q "kfp==$version" "kfp-kubernetes==$version"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -rf "$log" "$dir"
    die "kfp $version could not be installed (the last lines are above); pip's settings and proxies are honoured"
  fi
  rm -f "$log"
  ready || die "$dir was made, and kfp $version can't be imported from it"
}

# ready says whether the virtualenv is there and whole.
ready() {
  "$dir/bin/python" -c "import kfp, kfp.kubernetes; assert kfp.__version__ == '$version'" >/dev/null 2>&1
}

get_python() {
  may_install || die "python3 with its venv module is needed for the tests (Debian: apt-get install python3-venv)"
  install_packages python3 python3-venv
}

main "$@"
