#!/bin/sh
# Installs what a checkout needs and builds the guest agent; says what and why before it does. Does nothing the second time.
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")/.."

# 1. Debian packages: "program:package:why".
rootless=""
[ "$(id -u)" = 0 ] || rootless="newuidmap:uidmap:lets an ordinary user build images"
scripts/install-packages.sh banger <<END
qemu-system-x86_64:qemu-system-x86:runs the virtual machines
mmdebstrap:mmdebstrap:builds the default image
sqfstar:squashfs-tools:writes images
sqfs2tar:squashfs-tools-ng:exports images
mkfs.ext4:e2fsprogs:makes the disks of VMs
git:git:reads the work trees that VMs get a copy of
lz4:lz4:unpacks the kernel
xz:xz-utils:unpacks kernels and archives
cc:gcc:links the guest agent
ip:iproute2:makes the network of guests
nft:nftables:holds guests to what they may reach
pasta:passt:carries guests' packets out without touching the host's rules
$rootless
END

# 2. The kernel and the default image come from Debian's archive, by apt's lists.
if command -v apt-cache >/dev/null && [ -z "$(apt-cache depends linux-image-cloud-amd64 2>/dev/null)" ]; then
  echo "Reading apt's package lists (the guest kernel comes from Debian's archive)..." >&2
  if [ "$(id -u)" = 0 ]; then apt-get update -qq >&2; elif command -v sudo >/dev/null; then sudo apt-get update -qq >&2; fi
fi

# 3. npm packages, as locked. Not `npm ci`: it insists on the binaries of every other platform being in the lock file too.
if ! cmp -s package-lock.json node_modules/.banger-lock; then
  echo "Installing npm packages..." >&2
  npm install --no-save --ignore-scripts --no-fund --no-audit --loglevel=error >&2
  # No install scripts: ssh2's would compile parts that it does without. Bun's only puts its binary, which came with a package, in place.
  if ! node_modules/.bin/bun --version >/dev/null 2>&1; then
    node node_modules/bun/install.js >&2
  fi
  cp package-lock.json node_modules/.banger-lock
fi

# 4. The guest agent.
scripts/build-agent.sh
