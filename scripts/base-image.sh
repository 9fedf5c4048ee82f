#!/usr/bin/env bash
# Makes sure that the engine has the images that the demo and the tests start from:
#
#   python:3.11, python:3.11-slim   pulled where a registry answers, else built from Debian's packages
#   wherry-test/busybox             only with --test: a shell and its tools in 2 MB
#
# Quick when they are there. Needs an engine that answers (scripts/engine.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

answer_s=15  # how long a registry may take to name an image before it counts as not there
pull_s=900   # how long the download may take after that

main() {
  local test=false
  case "${1-}" in
    '') ;;
    --test) test=true ;;
    *) die "usage: scripts/base-image.sh [--test]" ;;
  esac
  answers || die "no Docker engine answers (scripts/engine.sh starts one)"
  one_at_a_time base-image
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/wherry-image.XXXXXX")
  trap 'rm -rf "$work"' EXIT

  have python:3.11 || pull python:3.11 || build_python
  # What build_python makes has nothing to spare, so it may bear the slim name too.
  have python:3.11-slim || pull python:3.11-slim || docker tag python:3.11 python:3.11-slim
  $test || return 0
  have wherry-test/busybox || build_busybox || pull_busybox
}

have() { docker image inspect "$1" >/dev/null 2>&1; }

no_registry=false # set by the first pull that nobody answers, so that the next one does not wait again

# pull downloads an image, and gives up early where no registry answers: an engine behind a closed
# network may try for minutes.
pull() {
  $no_registry && return 1
  say "pulling $1 (up to ${answer_s} s for a registry to answer)"
  local log=$work/pull.log pid waited=0
  docker pull "$1" >"$log" 2>&1 &
  pid=$!
  # The engine prints this line once it has the image's manifest.
  until grep -q 'Pulling from' "$log"; do
    if ! kill -0 $pid 2>/dev/null; then
      wait $pid && return 0
      say "not pulled: $(tail -n 1 "$log")"
      no_registry=true
      return 1
    fi
    if [ $waited -ge $answer_s ]; then
      kill $pid; wait $pid 2>/dev/null || true
      say "not pulled: no registry answered in ${answer_s} s"
      no_registry=true
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  until ! kill -0 $pid 2>/dev/null; do
    if [ $waited -ge $pull_s ]; then
      kill $pid; wait $pid 2>/dev/null || true
      say "not pulled: not finished after ${pull_s} s"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  wait $pid || { say "not pulled: $(tail -n 1 "$log")"; return 1; }
}

# build_python makes python:3.11 from Debian 12, whose Python is 3.11, when it can't be pulled.
build_python() {
  may_install ||
    die "python:3.11 can't be pulled, and building it needs root on Debian or Ubuntu: load it (docker load -i FILE) or run this once as root"
  install_packages debootstrap
  say "building python:3.11 from Debian's packages (about 2 minutes)"
  local root=$work/root packages=python3-minimal,python3-pip,python3-venv,ca-certificates
  debootstrap --variant=minbase --include=$packages bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap could not build a Debian tree (its last lines are above)"; }
  # A company's proxy signs with its own CA: what this machine trusts, the image trusts.
  [ ! -s /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  # Debian's pip refuses to install beside its own packages; in this image nothing else is there to break.
  tar -C "$root" -c . | docker import \
    -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    -c 'ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
    -c 'CMD ["python3"]' - python:3.11 >/dev/null
}

# build_busybox packs Debian's static busybox with a link per tool. It fails where there is no apt.
build_busybox() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  say "building wherry-test/busybox from Debian's busybox-static"
  local root=$work/busybox deb=$work/unpacked tool
  mkdir -p "$root"/{bin,etc,tmp,root,proc,sys,dev,usr/bin}
  { download busybox-static && dpkg-deb -x "$work"/busybox-static_*.deb "$deb"; } || return 1
  # Newer releases ship it in /usr/bin.
  cp -p "$deb/bin/busybox" "$root/bin/" 2>/dev/null || cp -p "$deb/usr/bin/busybox" "$root/bin/" || return 1
  for tool in $("$root/bin/busybox" --list); do
    [ "$tool" = busybox ] || ln -s busybox "$root/bin/$tool"
  done
  ln -s ../../bin/env "$root/usr/bin/env"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  chmod 1777 "$root/tmp"
  tar -C "$root" --owner=0 --group=0 --numeric-owner -c . | docker import \
    -c 'ENV PATH=/bin:/usr/bin' -c 'CMD ["sh"]' - wherry-test/busybox >/dev/null
}

# download fetches a package's file into $work, with fresh lists where the old ones don't have it.
download() {
  (cd "$work" && apt-get download -qq "$1" >apt.log 2>&1) && return
  { may_install && apt-get update -qq >"$work/apt.log" 2>&1; } || return 1
  (cd "$work" && apt-get download -qq "$1" >apt.log 2>&1)
}

pull_busybox() {
  no_registry=false # python:3.11 may be local, and never asked for
  pull busybox && docker tag busybox wherry-test/busybox && return
  die "wherry-test/busybox can be neither built (it needs apt) nor pulled"
}

main "$@"
