//! The byte stream to the host: a virtio-serial port or a socket.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{self, Errno};

/// What a virtio port hands over at once (virtio_console.c: its buffers are pages).
const PAGE: usize = 4096;
/// Pages taken with one system call.
const PAGES: usize = 16;

/// What the end of the stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A port: the host has closed its side and may open it again; the descriptor stays.
    Port,
    /// A connection: the next one comes from the listener.
    Connection,
    /// The only connection there will be.
    Only,
}

/// One descriptor, non-blocking, and what is known about its readiness.
#[derive(Debug)]
pub struct Link {
    fd: OwnedFd,
    kind: LinkKind,
    readable: bool,
    writable: bool,
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub enum LinkRead {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Later,
    /// The other side is gone.
    Closed,
}

impl Link {
    /// Takes a non-blocking descriptor.
    pub fn new(fd: OwnedFd, kind: LinkKind) -> Self {
        Link { fd, kind, readable: true, writable: true }
    }

    /// What its end means.
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Whether a read is worth trying.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether a write is worth trying.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Notes what the kernel said.
    pub fn set_ready(&mut self, read: bool, write: bool) {
        self.readable |= read;
        self.writable |= write;
    }

    /// Reads into `buffer`. A port that nobody has open on the host reads as end of file (virtio_console.c); the next edge
    /// tells when that changes, so nothing spins. It takes a buffer of `readv` after the other, as long as each is filled.
    pub fn read(&mut self, buffer: &mut [u8]) -> LinkRead {
        let mut pages: Vec<_> = buffer.chunks_mut(PAGE).take(PAGES).map(IoSliceMut::new).collect();
        match io::retry_on_intr(|| io::readv(&self.fd, &mut pages)) {
            Ok(count) if count > 0 => LinkRead::Bytes(count),
            Err(Errno::AGAIN) => {
                self.readable = false;
                LinkRead::Later
            }
            Ok(_) | Err(_) => {
                self.readable = false;
                LinkRead::Closed
            }
        }
    }

    /// Writes what the kernel takes; returns how much that was.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        match io::retry_on_intr(|| io::write(&self.fd, bytes)) {
            Ok(count) if count > 0 => count,
            // Full, or closed: reading will tell which.
            Ok(_) | Err(_) => {
                self.writable = false;
                0
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn a_read_takes_more_than_a_page_and_no_more_than_fits() {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a socket pair");
        let bytes: Vec<u8> = (0..3 * PAGE + 5).map(|at| at as u8).collect();
        assert_eq!(io::write(&theirs, &bytes), Ok(bytes.len()));
        let mut link = Link::new(ours, LinkKind::Only);
        let mut buffer = vec![0; 2 * PAGE + 1];
        assert_eq!(link.read(&mut buffer), LinkRead::Bytes(buffer.len()));
        assert_eq!(buffer, bytes[..buffer.len()]);
        let mut rest = vec![0; PAGES * PAGE];
        assert_eq!(link.read(&mut rest), LinkRead::Bytes(bytes.len() - buffer.len()));
        assert_eq!(rest[..bytes.len() - buffer.len()], bytes[buffer.len()..]);
        assert_eq!(link.read(&mut rest), LinkRead::Later);
        drop(theirs);
        link.set_ready(true, false);
        assert_eq!(link.read(&mut rest), LinkRead::Closed);
    }
}
