#!/usr/bin/env bash
# What docs/watch.svg shows, see record.py: a watch on the e-commerce example, in which one step's code is edited.
# Layers are installed before, by a run whose output nobody sees. It needs a kfp, see kfp-env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
kfp=${WHERRY_TEST_KFP:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry/kfp-2.17.0}
export WHERRY_HOME=/tmp/wherry-watch/home PATH=/tmp/wherry-watch/venv/bin:$PATH # they are in the picture
trap 'rm -rf /tmp/wherry-watch' EXIT
rm -rf /tmp/wherry-watch
mkdir /tmp/wherry-watch
ln -s "$kfp" /tmp/wherry-watch/venv
cp -r examples/ecommerce /tmp/wherry-watch/shop
cd /tmp/wherry-watch/shop
wherry run --quiet pipeline.py >/dev/null 2>&1
rm -rf "$WHERRY_HOME"

# ended N: N runs have come to their end.
ended() { [ "$(wherry get runs -o json 2>/dev/null | grep -c '"state": "SUCCEEDED"')" = "$1" ]; }

# edit is what a person does in an editor, beside the watch.
edit() {
  trap 'kill -INT "$(pgrep -P $$ -x wherry)"' EXIT
  until ended 1; do sleep 0.3; done
  sleep 3
  printf '\n\e[2m  (an editor saves model_training with another forest:)\n'
  sed 's/n_jobs=1)/n_jobs=1, min_samples_leaf=5)/' pipeline.py >.pipeline.py.tmp
  { diff pipeline.py .pipeline.py.tmp || true; } | sed -n 's/^< */  - /p; s/^> */  + /p'
  printf '\e[0m\n'
  sleep 2
  mv .pipeline.py.tmp pipeline.py
  until ended 2; do sleep 0.3; done
  sleep 4
}

edit &
printf '$ wherry run pipeline.py --watch\n'
wherry run pipeline.py --watch
