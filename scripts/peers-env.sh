#!/usr/bin/env bash
# Makes sure that the benchmarks have the tools that they measure beside wherry: DVC, in a virtualenv in the
# user's cache, made once (WHERRY_BENCH_PEERS names another place), and ninja, of Debian where packages can be
# installed, else in the same virtualenv.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

dvc=3.67.1
ninja=1.13.0 # of PyPI
dir=${WHERRY_BENCH_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry/dvc-$dvc}

main() {
  ready && return
  one_at_a_time peers
  ready && return # another call has just made it
  python3 -c 'import venv, ensurepip' 2>/dev/null || get_python
  [ -x "$dir/bin/python" ] || python3 -m venv "$dir"
  "$dir/bin/dvc" --version >/dev/null 2>&1 || add "dvc==$dvc"
  has_ninja && return
  if may_install; then install_packages ninja-build; else add "ninja==$ninja"; fi
}

ready() { has_ninja && "$dir/bin/dvc" --version 2>/dev/null | grep -qxF "$dvc"; }
has_ninja() { command -v ninja >/dev/null || [ -x "$dir/bin/ninja" ]; }

add() {
  local log
  say "installing $1 for the benchmarks into $dir"
  log=$(mktemp)
  if ! "$dir/bin/python" -m pip install --disable-pip-version-check --no-input -q "$1" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "$1 could not be installed (the last lines are above); pip's settings and proxies are honoured"
  fi
  rm -f "$log"
}

get_python() {
  may_install || die "python3 with its venv module is needed for the benchmarks (Debian: apt-get install python3-venv)"
  install_packages python3 python3-venv
}

main "$@"
