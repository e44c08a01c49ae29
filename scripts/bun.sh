#!/bin/sh
# The pinned Bun of this checkout.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/../node_modules/.bin/bun" "$@"
