#!/usr/bin/env bash
# Builds the servers that tests fetch from: an S3 gateway over a folder, and one for Google Cloud Storage's
# API. tools/servers pins them; they are a module of their own because they bring much with them. Quick when
# they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

go=${GO:-go}
bin=$PWD/bin
servers=(versitygw fake-gcs-server)

main() {
  have && return
  one_at_a_time servers
  have && return # another call has just built them
  say "building ${servers[*]} for the tests (a minute or two, once)"
  (cd tools/servers && GOBIN=$bin "$go" install tool)
  touch "${servers[@]/#/$bin/}" # newer than go.mod, also where they were up to date
}

# have says whether they are there and not older than what pins them.
have() {
  local s
  for s in "${servers[@]}"; do
    [ -x "$bin/$s" ] && [ ! "$bin/$s" -ot tools/servers/go.mod ] || return 1
  done
}

main
