//! One connection: bytes both ways, each end closed by itself, each side at the other's pace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{self, Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, shutdown, socket_with, sockopt,
};
use serde_json::json;

use super::{Carrier, Progress, refuse};
use crate::failure::{Failure, Outcome};
use crate::requests::Endpoint;
use crate::wire::{ByteQueue, DATA_CHUNK, FrameType, Outbox, ReceiveWindow, SendCredit, Violation, WINDOW};

/// A connection and the stream that it belongs to.
#[derive(Debug)]
pub struct Pipe {
    stream: u32,
    fd: OwnedFd,
    /// What it is, for errors.
    name: String,
    connecting: bool,
    /// Where to go when nobody is at the first address.
    fallback: Option<SocketAddr>,
    readable: bool,
    writable: bool,
    /// From the host, not written yet; the window bounds it.
    input: ByteQueue,
    input_ended: bool,
    shut: bool,
    output_over: bool,
    window: ReceiveWindow,
    credit: SendCredit,
    sent: u64,
    received: u64,
}

const NON_BLOCKING: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Pipe {
    /// Begins to connect.
    pub fn dial(stream: u32, endpoint: &Endpoint) -> Outcome<Self> {
        let mut pipe = Pipe::open(stream, endpoint)?;
        let window = endpoint.window.unwrap_or(WINDOW);
        (pipe.window, pipe.credit) = (ReceiveWindow::new(window), SendCredit::new(window));
        Ok(pipe)
    }

    fn open(stream: u32, endpoint: &Endpoint) -> Outcome<Self> {
        let name = endpoint.to_string();
        let failed = |errno| refuse("connecting to", &name, errno);
        if let Some(path) = &endpoint.unix {
            let address = SocketAddrUnix::new(path.as_str()).map_err(failed)?;
            let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, NON_BLOCKING, None).map_err(failed)?;
            connect(&fd, &address).map_err(failed)?;
            return Ok(Pipe::new(stream, fd, name, false));
        }
        let port = endpoint.port.unwrap_or(0);
        let (address, fallback) = match endpoint.address {
            Some(address) => (address, None),
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port))),
        };
        match dial_tcp(SocketAddr::new(address, port)) {
            Ok(fd) => {
                let mut pipe = Pipe::new(stream, fd, name, true);
                pipe.fallback = fallback;
                Ok(pipe)
            }
            Err(errno) => {
                // The first address is the one that people mean.
                let second = fallback.ok_or(errno).and_then(dial_tcp).map_err(|_| failed(errno))?;
                Ok(Pipe::new(stream, second, name, true))
            }
        }
    }

    /// A connection that was accepted.
    pub fn accepted(stream: u32, fd: OwnedFd) -> Self {
        Pipe::new(stream, fd, "the connection".to_string(), false)
    }

    /// The same, with another window than `WINDOW`.
    pub fn taken(stream: u32, fd: OwnedFd, window: u32) -> Self {
        let mut pipe = Pipe::accepted(stream, fd);
        (pipe.window, pipe.credit) = (ReceiveWindow::new(window), SendCredit::new(window));
        pipe
    }

    fn new(stream: u32, fd: OwnedFd, name: String, connecting: bool) -> Self {
        // Only TCP has the option.
        let _ = sockopt::set_tcp_nodelay(&fd, true);
        Pipe {
            stream,
            fd,
            name,
            connecting,
            fallback: None,
            readable: true,
            writable: !connecting,
            input: ByteQueue::default(),
            input_ended: false,
            shut: false,
            output_over: false,
            window: ReceiveWindow::default(),
            credit: SendCredit::default(),
            sent: 0,
            received: 0,
        }
    }

    fn redial(&mut self, errno: Errno) -> Progress {
        match self.fallback.take().map(dial_tcp) {
            Some(Ok(fd)) => {
                (self.fd, self.writable) = (fd, false);
                Progress::Redialled
            }
            Some(Err(_)) | None => Progress::Over(Err(self.broken(errno))),
        }
    }

    fn broken(&self, errno: Errno) -> Failure {
        refuse("connecting to", &self.name, errno)
    }

    fn can_write(&self) -> bool {
        self.writable && !self.input.is_empty()
    }

    fn can_read(&self) -> bool {
        self.readable && !self.output_over && self.credit.available() > 0
    }

    fn write(&mut self, outbox: &mut Outbox) -> Result<(), Errno> {
        if self.can_write() {
            match retry_on_intr(|| io::write(&self.fd, self.input.as_slice())) {
                Ok(count) => {
                    self.input.consume(count);
                    self.received += count as u64;
                    if let Some(lump) = self.window.consume(count) {
                        outbox.credit(self.stream, 0, lump);
                    }
                }
                Err(Errno::AGAIN) => self.writable = false,
                Err(errno) => return Err(errno),
            }
        }
        if self.input_ended && self.input.is_empty() && !self.shut {
            self.shut = true;
            match shutdown(&self.fd, Shutdown::Write) {
                // The other side has gone already.
                Err(Errno::NOTCONN) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8], outbox: &mut Outbox) -> Result<(), Errno> {
        if !self.can_read() {
            return Ok(());
        }
        let room = self.credit.available().min(DATA_CHUNK).min(scratch.len());
        match retry_on_intr(|| io::read(&self.fd, &mut scratch[..room])) {
            Ok(0) => {
                self.output_over = true;
                outbox.end(self.stream, 1);
            }
            Ok(count) => {
                self.credit.spend(count);
                self.sent += count as u64;
                outbox.data(self.stream, 1, &scratch[..count]);
            }
            Err(Errno::AGAIN) => self.readable = false,
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

impl Carrier for Pipe {
    fn is_connected(&self) -> bool {
        !self.connecting
    }

    fn set_ready(&mut self, read: bool, write: bool) {
        self.readable |= read;
        self.writable |= write;
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.window.receive(bytes.len())?;
        self.input.push(bytes);
        Ok(())
    }

    fn end_input(&mut self) -> Result<(), Violation> {
        if self.input_ended {
            return Err(Violation::Rule("END twice"));
        }
        self.input_ended = true;
        Ok(())
    }

    fn grant(&mut self, bytes: u32) -> Result<(), Violation> {
        self.credit.grant(bytes)
    }

    fn abort(&mut self) {
        // Closing then sends RST instead of FIN (socket(7), SO_LINGER); a Unix socket knows no difference.
        let _ = sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
    }

    fn work(&mut self, scratch: &mut [u8], outbox: &mut Outbox) -> Progress {
        if self.connecting {
            if !self.writable {
                return Progress::Waits;
            }
            match sockopt::socket_error(&self.fd).and_then(|result| result) {
                Ok(()) => self.connecting = false,
                Err(errno) => return self.redial(errno),
            }
            outbox.frame(FrameType::Control, self.stream, br#"{"connected":{}}"#);
        }
        let moved = self.write(outbox).and_then(|()| self.read(scratch, outbox));
        match moved {
            Err(errno) => Progress::Over(Err(self.broken(errno))),
            Ok(()) if self.shut && self.output_over => {
                Progress::Over(Ok(json!({"sent": self.sent, "received": self.received})))
            }
            Ok(()) => match self.can_write() || self.can_read() {
                true => Progress::More,
                false => Progress::Waits,
            },
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn dial_tcp(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, NON_BLOCKING, None)?;
    match connect(&fd, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(errno) => Err(errno),
    }
}
