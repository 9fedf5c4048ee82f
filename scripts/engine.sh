#!/usr/bin/env bash
# Makes sure that a Docker engine answers. Uses the one that does (DOCKER_HOST and contexts count). As root
# on Debian or Ubuntu it installs and starts one where there is none; elsewhere it says what to do and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

wait_s=60 # how long a started engine may take to answer
log=/var/log/dockerd.log

main() {
  answers && return
  [ -z "${DOCKER_HOST-}" ] || die "the engine at DOCKER_HOST does not answer: start it, or unset DOCKER_HOST"
  may_install || { advise; exit 1; }
  one_at_a_time engine
  answers && return # another call has just started it
  # debootstrap is for scripts/base-image.sh, iptables for the engine's networks.
  install_packages docker.io debootstrap iptables
  command -v docker >/dev/null || install_packages docker-cli # part of docker.io until Debian 12
  start
}

advise() {
  say "no Docker engine answers. What to do:"
  case "$(uname -s)" in
    Darwin) say "  start Docker Desktop, OrbStack or Colima (brew install colima docker && colima start)" ;;
    *)
      if [ -S /var/run/docker.sock ] && [ ! -w /var/run/docker.sock ]; then
        say "  an engine is there, but this user may not use it: sudo usermod -aG docker \$USER, then log in again"
      elif command -v dockerd >/dev/null; then
        say "  start it: sudo systemctl start docker"
      elif command -v apt-get >/dev/null; then
        say "  sudo apt-get install docker.io && sudo usermod -aG docker \$USER, then log in again"
      else
        say "  install Docker or Podman with your system's package manager, and start it"
      fi
      ;;
  esac
  say "or set DOCKER_HOST to an engine elsewhere"
}

# start starts the engine, unless the package or a service manager has done so, and waits until it answers.
start() {
  local pid='' waited=0
  if [ -d /run/systemd/system ]; then
    say "starting the engine with systemctl"
    systemctl start docker || die "systemctl could not start docker: see journalctl -u docker"
    log=''
  elif pidof dockerd >/dev/null; then
    log='' # somebody else's, and so is its log
  else
    say "starting dockerd in the background (log: $log)"
    # A session of its own, and none of our files: it must outlive make and hold no lock or pipe of ours.
    setsid nohup dockerd </dev/null >"$log" 2>&1 9>&- &
    pid=$!
  fi
  say "waiting up to ${wait_s} s for the engine to answer"
  until answers; do
    [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || no_engine "dockerd ended"
    [ $waited -lt $wait_s ] || no_engine "the engine did not answer in ${wait_s} s"
    sleep 1
    waited=$((waited + 1))
  done
}

no_engine() {
  [ -z "$log" ] || tail -n 20 "$log" >&2 || true
  die "$1${log:+ (the last lines of $log are above)}"
}

main "$@"
