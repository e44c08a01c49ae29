#!/bin/sh
# Installs the Debian packages of the programs that are missing, and says what and why. Argument: who needs them.
# Standard input: lines "program:package:why". Does nothing when every program is there.
set -eu
who=$1
missing=""
while IFS=: read -r program package why; do
  if [ -n "$program" ] && ! PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null; then
    missing="$missing $package"
    echo "$who needs $package ($why)" >&2
  fi
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "$who: this host has no apt-get; install these by hand:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "$who: installing packages needs root, and sudo was not found" >&2
    echo "  cure: as root, run: apt-get install$missing" >&2
    exit 1
  fi
  as_root="sudo"
fi
echo "Installing:$missing" >&2
log=$(mktemp)
if ! { $as_root apt-get update -qq &&
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "$who: apt-get failed; its whole output is in $log" >&2
  exit 1
fi
rm -f "$log"
