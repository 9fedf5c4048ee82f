# Sourced by the other scripts: words to the person, and what more than one of them asks or does.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# answers says whether a Docker engine answers within 10 s; one that hangs counts as none.
answers() {
  command -v docker >/dev/null || return 1
  if command -v timeout >/dev/null; then timeout 10 docker info >/dev/null 2>&1; else docker info >/dev/null 2>&1; fi
}

# may_install says whether packages can be installed here: root on Debian, Ubuntu and their kin.
may_install() { [ "$(id -u)" = 0 ] && [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null; }

# install_packages installs what is missing of the named Debian packages, and says so first.
install_packages() {
  local p missing=() log
  for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing with apt-get: ${missing[*]}"
  log=$(mktemp)
  if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    rm -f "$log"
  else
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install ${missing[*]} (its last lines are above)"
  fi
}

# one_at_a_time keeps a second call for the same thing waiting until a first one has ended. Descriptor 9
# holds the lock: what runs on in the background must close it.
one_at_a_time() {
  command -v flock >/dev/null || return 0
  exec 9>"${TMPDIR:-/tmp}/wherry-$1.$(id -u).lock"
  flock -n 9 || { say "waiting for another call that does the same"; flock 9; }
}
