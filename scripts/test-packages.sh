#!/bin/sh
# Installs the Debian packages that only the tests need; nothing of them is part of the product. Does nothing the second time.
set -eu
missing=""
while IFS=: read -r program package why; do
  if ! PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null; then
    missing="$missing $package"
    echo "the tests need $package ($why)" >&2
  fi
done <<END
docker-registry:docker-registry:a real registry to pull from
skopeo:skopeo:fills the registry
umoci:umoci:makes images and unpacks them, to compare with
openssl:openssl:makes certificates
getfattr:attr:shows extended attributes, to compare
sqfs2tar:squashfs-tools-ng:exports root file systems
END
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "the tests: this host has no apt-get; install these by hand:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "the tests: installing packages needs root, and sudo was not found" >&2
    echo "  cure: as root, run: apt-get install$missing" >&2
    exit 1
  fi
  as_root="sudo"
fi
echo "Installing:$missing" >&2
log=$(mktemp)
if ! { $as_root apt-get update -qq &&
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "the tests: apt-get failed; its whole output is in $log" >&2
  exit 1
fi
rm -f "$log"
