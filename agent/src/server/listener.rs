//! Sockets that the host connects to: vsock in a guest, a Unix socket in a rehearsal.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};

use super::link::{Link, LinkKind};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 8;

/// A listening, non-blocking socket.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens on a path. An old socket there is replaced.
    pub fn unix(path: &str) -> io::Result<Self> {
        let socket = open_socket(AddressFamily::UNIX)?;
        let address = SocketAddrUnix::new(path)?;
        // Usually there is none; anything else makes bind fail.
        let _ = rustix::fs::unlink(path);
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok(Listener(socket))
    }

    /// Listens on a vsock port (vsock(7)).
    pub fn vsock(port: u32) -> io::Result<Self> {
        let socket = open_socket(AddressFamily::VSOCK)?;
        with_vsock_address(&socket, libc::VMADDR_CID_ANY, port, libc::bind)?;
        listen(&socket, BACKLOG)?;
        Ok(Listener(socket))
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
            match accept_with(&self.0, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => newest = Some(Link::new(fd, LinkKind::Connection)),
                Err(io::Errno::INTR | io::Errno::CONNABORTED) => {}
                Err(_) => return newest,
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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

fn open_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::STREAM, flags, None)
}
