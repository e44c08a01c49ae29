//! A listening socket, and the connections that wait until the host takes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, chownat, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, getsockname, listen};
use rustix::net::{socket_with, sockopt};
use rustix::process::{Gid, Uid, umask};

use super::refuse;
use crate::exec::{Identity, identity_of};
use crate::failure::Outcome;
use crate::requests::Endpoint;

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 64;

/// A listening socket. A Unix socket's name goes with it.
#[derive(Debug)]
pub struct Acceptor {
    fd: OwnedFd,
    path: Option<String>,
    port: u16,
}

impl Acceptor {
    /// Listens. `failed_precondition` when the address or the path is taken.
    pub fn listen(endpoint: &Endpoint) -> Outcome<Self> {
        let owner = endpoint.owner.as_deref().map(|owner| identity_of(Some(owner))).transpose()?;
        let opened = open(endpoint, owner.as_ref());
        let (fd, path) = opened.map_err(|errno| refuse("listening on", &endpoint.to_string(), errno))?;
        let address = getsockname(&fd).ok().and_then(|address| SocketAddr::try_from(address).ok());
        Ok(Acceptor { fd, path, port: address.map_or(0, |address| address.port()) })
    }

    /// The TCP port, 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next connection; `None` when there is none now.
    pub fn accept(&self) -> Option<OwnedFd> {
        loop {
            match accept_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => return Some(fd),
                // That one has given up (accept(2)).
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody in the guest may have removed it.
            let _ = unlink(path.as_str());
        }
    }
}

fn open(endpoint: &Endpoint, owner: Option<&Identity>) -> Result<(OwnedFd, Option<String>), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = match &endpoint.unix {
        Some(path) => {
            let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let before = umask(Mode::from(0o177));
            let bound = bind(&fd, &SocketAddrUnix::new(path.as_str())?);
            umask(before);
            bound?;
            if let Some(Identity { uid, gid, .. }) = owner {
                let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
                chownat(CWD, path.as_str(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .inspect_err(|_| unlink(path.as_str()).unwrap_or_default())?;
            }
            fd
        }
        None => {
            let address = endpoint.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let fd = socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_reuseaddr(&fd, true)?;
            bind(&fd, &SocketAddr::new(address, endpoint.port.unwrap_or(0)))?;
            fd
        }
    };
    listen(&fd, BACKLOG)?;
    Ok((fd, endpoint.unix.clone()))
}
