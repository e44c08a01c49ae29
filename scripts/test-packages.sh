#!/bin/sh
# Installs the Debian packages that only the tests need; nothing of them is part of the product. Does nothing the second time.
set -eu
cd "$(dirname -- "$(readlink -f -- "$0")")/.."
scripts/install-packages.sh "the test suite" <<END
docker-registry:docker-registry:a real registry to pull from
skopeo:skopeo:fills the registry
umoci:umoci:makes images and unpacks them, to compare with
openssl:openssl:makes certificates
ssh:openssh-client:enters VMs over SSH
rsync:rsync:keeps trees of VMs in step over SSH
vim.tiny:vim-tiny:is edited with on a terminal of a VM
htop:htop:fills the screen of one
tmux:tmux:is a terminal with somebody at it
getfattr:attr:shows extended attributes, to compare
END
