#!/bin/sh
# Builds the guest agent when it is missing or older than its sources.
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")/../agent"
binary=target/x86_64-unknown-linux-gnu/release/banger-agent
if [ -x "$binary" ] && [ -z "$(find src Cargo.toml Cargo.lock .cargo -newer "$binary" -print -quit)" ]; then
  exit 0
fi
if ! command -v cargo >/dev/null; then
  echo "banger: building the guest agent needs a Rust toolchain, and cargo was not found" >&2
  echo "  cure: install Rust (apt-get install cargo, or rustup), then repeat" >&2
  exit 1
fi
echo "Building the guest agent (Rust, once)..." >&2
cargo build --quiet --release --locked
touch "$binary"
