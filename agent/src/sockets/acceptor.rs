//! A listening socket, and the connections that wait until the host takes them.
//!
//! Whoever may write where a Unix socket is could put something else in its place, or in that of a directory above it: so its owner is set on
//! the file that it was bound to and on nothing else, and only that file's name is removed again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, chownat, fstat, openat, statat, unlink, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, getsockname, listen};
use rustix::net::{socket_with, sockopt};
use rustix::process::{Gid, Uid, getuid, umask};

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
    name: Option<SocketName>,
    port: u16,
}

/// The name of a Unix socket, removed when this is dropped; where the file system takes no writes, that waits until it does.
#[derive(Debug)]
pub struct SocketName {
    path: String,
    /// Device and inode of the file; unknown to an agent that is not root, whose rights are its user's own.
    file: Option<(u64, u64)>,
}

impl Acceptor {
    /// Listens. `failed_precondition` when the address or the path is taken.
    pub fn listen(endpoint: &Endpoint) -> Outcome<Self> {
        let owner = endpoint.owner.as_deref().map(|owner| identity_of(Some(owner))).transpose()?;
        let opened = open(endpoint, owner);
        let (fd, name) = opened.map_err(|errno| refuse("listening on", &endpoint.to_string(), errno))?;
        let address = getsockname(&fd).ok().and_then(|address| SocketAddr::try_from(address).ok());
        Ok(Acceptor { fd, name, port: address.map_or(0, |address| address.port()) })
    }

    /// Nobody is heard any more. The name is still there, until what is returned is dropped.
    pub fn close(self) -> Option<SocketName> {
        self.name
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

impl Drop for SocketName {
    fn drop(&mut self) {
        // Somebody in the guest may have removed it.
        let _ = self.remove();
    }
}

impl SocketName {
    fn remove(&self) -> Result<(), Errno> {
        let Some(file) = self.file else {
            return unlink(self.path.as_str());
        };
        let (directory, name) = self.path.rsplit_once('/').ok_or(Errno::INVAL)?;
        let directory = if directory.is_empty() { "/" } else { directory };
        let directory = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let status = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        // Whoever changes it after this look may change this very directory.
        match (status.st_dev, status.st_ino) == file {
            true => unlinkat(&directory, name, AtFlags::empty()),
            false => Err(Errno::NOENT),
        }
    }
}

fn open(endpoint: &Endpoint, owner: Option<Identity>) -> Result<(OwnedFd, Option<SocketName>), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (fd, name) = match &endpoint.unix {
        Some(path) => {
            let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let address = SocketAddrUnix::new(path.as_str())?;
            let before = umask(Mode::from(0o177));
            let bound = bind(&fd, &address);
            umask(before);
            bound?;
            let file = bound_file(&fd);
            let status = file.as_ref().ok().and_then(|file| fstat(file).ok());
            let name = SocketName { path: path.clone(), file: status.map(|status| (status.st_dev, status.st_ino)) };
            if let Some(Identity { uid, gid, .. }) = owner.filter(|owner| owner.uid != getuid().as_raw()) {
                chownat(file?, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?;
            }
            (fd, Some(name))
        }
        None => {
            let address = endpoint.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let fd = socket_with(family, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_reuseaddr(&fd, true)?;
            bind(&fd, &SocketAddr::new(address, endpoint.port.unwrap_or(0)))?;
            (fd, None)
        }
    };
    listen(&fd, BACKLOG)?;
    Ok((fd, name))
}

/// The file that a Unix socket is bound to, wherever its name is by now (`unix_open_file` in net/unix/af_unix.c). `PERM` without CAP_NET_ADMIN.
fn bound_file(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    /// `SIOCUNIXFILE` of linux/un.h.
    const SIOCUNIXFILE: libc::c_ulong = 0x89e0;
    // SAFETY: an open descriptor; the call takes no argument.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCUNIXFILE, 0) };
    if result < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
    }
    // SAFETY: the call has just returned this descriptor, close-on-exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}
