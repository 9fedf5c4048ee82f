#!/usr/bin/env bash
# Says what is missing to build wherry, each with the command that gets it: Go 1.26, and a C compiler for
# SQLite.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

go=${GO:-go}
want=1.26

main() {
  local version cc
  command -v "$go" >/dev/null || { say "Go $want or newer is missing. To get it:"; advise_go; exit 1; }
  # In this folder an older Go fetches the one that go.mod names by itself, unless it was told not to.
  version=$("$go" env GOVERSION 2>/dev/null) || version=
  if ! at_least "${version#go}"; then
    say "Go $want or newer is needed; $(command -v "$go") is ${version:-older, and could not fetch it}. To get it:"
    advise_go
    exit 1
  fi
  # $CC may be a command with flags: keep the words apart.
  read -r -a cc <<<"$("$go" env CC)"
  if ! printf '#include <stdlib.h>\n' | "${cc[@]}" -E -x c - >/dev/null 2>&1; then
    say "a C compiler with its library's headers is needed for SQLite; ${cc[*]} does not work. To get one:"
    advise_cc
    exit 1
  fi
}

# at_least compares MAJOR.MINOR of $1 with $want.
at_least() {
  local major minor
  IFS=. read -r major minor _ <<<"$1"
  minor=${minor%%[!0-9]*} # 1.26rc1
  [ "${major:-0}" -gt "${want%.*}" ] 2>/dev/null ||
    { [ "${major:-0}" -eq "${want%.*}" ] && [ "${minor:-0}" -ge "${want#*.}" ]; } 2>/dev/null
}

advise_go() {
  local os arch
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  case "$(uname -m)" in x86_64) arch=amd64 ;; aarch64 | arm64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
  if command -v brew >/dev/null; then say "  brew install go"; return; fi
  # Beside an older one, and without root.
  say "  mkdir -p ~/go$want && curl -fsSL https://go.dev/dl/go$want.0.$os-$arch.tar.gz | tar -C ~/go$want -xz"
  say "  export PATH=~/go$want/go/bin:\$PATH"
}

advise_cc() {
  if [ "$(uname -s)" = Darwin ]; then say "  xcode-select --install"
  elif command -v apt-get >/dev/null; then say "  sudo apt-get install gcc libc6-dev"
  elif command -v dnf >/dev/null; then say "  sudo dnf install gcc glibc-devel"
  elif command -v apk >/dev/null; then say "  sudo apk add gcc musl-dev"
  elif command -v pacman >/dev/null; then say "  sudo pacman -S gcc"
  else say "  install gcc or clang with your system's package manager"
  fi
}

main
