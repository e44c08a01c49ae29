//! Sockets that the host connects to: vsock in a guest, a Unix socket in a rehearsal.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};

use super::link::{Link, LinkKind};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;

/// A listening, non-blocking socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    /// Who connects: to a port of vsock it may be the guest itself, where the kernel has a loopback for it (vsock_loopback.c).
    host_only: bool,
}

impl Listener {
    /// Listens on a path. An old socket there is replaced.
    pub fn unix(path: &str) -> io::Result<Self> {
        let socket = open_socket(AddressFamily::UNIX)?;
        let address = SocketAddrUnix::new(path)?;
        // Usually there is none; anything else makes bind fail.
        let _ = rustix::fs::unlink(path);
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok(Listener { socket, host_only: false })
    }

    /// Listens on a vsock port (vsock(7)), for the host alone: whoever is served here is root.
    pub fn vsock(port: u32) -> io::Result<Self> {
        let socket = open_socket(AddressFamily::VSOCK)?;
        with_vsock_address(&socket, libc::VMADDR_CID_ANY, port, libc::bind)?;
        listen(&socket, BACKLOG)?;
        Ok(Listener { socket, host_only: true })
    }

    /// Tells the host that somebody listens on this port now: a connection to the host's port of the same number. Its coming is
    /// all it says, so that it is closed at once, and nobody need be there to hear it.
    pub fn knock_vsock(port: u32) -> io::Result<()> {
        let socket = open_socket(AddressFamily::VSOCK)?;
        match with_vsock_address(&socket, libc::VMADDR_CID_HOST, port, libc::connect) {
            Ok(()) | Err(io::Errno::INPROGRESS) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// The newest of the connections that wait; older ones are closed.
    pub fn accept_newest(&self) -> Option<Link> {
        let mut newest = None;
        // Ends with EAGAIN; a connection that was given up meanwhile is an error to skip.
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) if self.host_only && !is_host(&fd) => {}
                Ok(fd) => newest = Some(Link::new(fd, LinkKind::Connection)),
                Err(io::Errno::INTR | io::Errno::CONNABORTED) => {}
                Err(_) => return newest,
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

type AddressCall = unsafe extern "C" fn(libc::c_int, *const libc::sockaddr, libc::socklen_t) -> libc::c_int;

/// bind(2) or connect(2) with a vsock address, which rustix does not know.
fn with_vsock_address(socket: &OwnedFd, cid: u32, port: u32, call: AddressCall) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_port = port;
    address.svm_cid = cid;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a sockaddr_vm of `length` bytes, and the descriptor is open.
    let result = unsafe { call(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(io::Errno::from_io_error(&error).unwrap_or(io::Errno::INVAL))
}

/// Whether the other end of a vsock connection is the host.
fn is_host(connection: &OwnedFd) -> bool {
    // SAFETY: all-zero bytes are a valid sockaddr_vm.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` has room for `length` bytes, which is what the call writes at most, and the descriptor is open.
    let result = unsafe { libc::getpeername(connection.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    // An address of another family, or none, leaves no family of vsock behind.
    result == 0 && i32::from(address.svm_family) == libc::AF_VSOCK && address.svm_cid == libc::VMADDR_CID_HOST
}

fn open_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::socketpair;

    #[test]
    fn a_listener_for_the_host_alone_serves_nobody_else() {
        let path = std::env::temp_dir().join(format!("banger-listener-{}", std::process::id()));
        let name = path.to_str().expect("a path of plain letters");
        let mut listener = Listener::unix(name).expect("a path");
        let _friend = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
        assert!(listener.accept_newest().is_some());
        listener.host_only = true;
        let _stranger = std::os::unix::net::UnixStream::connect(&path).expect("it listens");
        assert!(listener.accept_newest().is_none());
        std::fs::remove_file(&path).expect("it was there");
        let (one, _other) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
        assert!(!is_host(&one));
    }
}
