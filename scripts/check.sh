#!/bin/sh
# Types, lint, format, layering, unused code; the same for the guest agent.
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
step() {
  echo "check: $1" >&2
  shift
  "$@"
}
step types node_modules/.bin/tsc -p .
step lint node_modules/.bin/oxlint --type-aware --deny-warnings src test bench scripts
step format node_modules/.bin/biome check .
step unused node_modules/.bin/knip --no-progress
step layering scripts/bun.sh test test/arch
step "agent format" cargo fmt --check --manifest-path agent/Cargo.toml
step "agent lint" sh -c 'cd agent && cargo clippy --quiet --locked --all-targets -- -D warnings'
