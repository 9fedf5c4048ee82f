#!/usr/bin/env bash
# `make demo`: the e-commerce recommendation pipeline, from nothing to a model with its lineage. The script
# only prepares; all that is shown comes from bin/wherry.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

backend=
if scripts/engine.sh; then
  scripts/base-image.sh
else
  say "no engine, so the steps run as processes of this machine (--backend process)"
  backend=process
fi

# show prints a command as a person would type it, then runs it.
show() { printf '\n$ %s\n' "$*"; "$@"; }

show bin/wherry run ${backend:+--backend "$backend"} examples/ecommerce/ecommerce.yaml
show bin/wherry get artifacts last
show bin/wherry lineage last/model-training

cat <<'TEXT'

Next:
  bin/wherry run examples/ecommerce/ecommerce.yaml -p max_depth=6    only what depends on max_depth runs again
  bin/wherry run examples/workflow/pipeline.yaml                     a workflow with scripts of your own in /app
  bin/wherry init && bin/wherry doctor                               a first pipeline, and what this machine lacks
TEXT
