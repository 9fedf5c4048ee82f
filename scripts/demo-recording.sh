#!/usr/bin/env bash
# What docs/demo.svg shows, see record.py: the e-commerce example twice, the second time with another parameter.
# Layers are installed before, by a run whose output nobody sees.
set -euo pipefail
cd "$(dirname "$0")/../examples/ecommerce"
export WHERRY_HOME=/tmp/wherry-demo # it is in the picture
trap 'rm -rf /tmp/wherry-demo' EXIT
wherry run --quiet ecommerce.yaml >/dev/null 2>&1
rm -rf /tmp/wherry-demo

show() { printf '$ %s\n' "$*"; "$@"; }

show wherry run ecommerce.yaml
sleep 3
printf '\n'
show wherry run ecommerce.yaml -p max_depth=6
