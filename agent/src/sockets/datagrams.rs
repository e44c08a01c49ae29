//! Datagrams to and from one port of the guest: each DATA frame is one. What finds no room is lost, as datagrams are.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with};
use serde_json::json;

use super::{Carrier, Progress, refuse};
use crate::failure::Outcome;
use crate::requests::Endpoint;
use crate::wire::{Outbox, ReceiveWindow, SendCredit, Violation, WINDOW};

/// A connected UDP socket and the stream that it belongs to.
#[derive(Debug)]
pub struct Datagrams {
    stream: u32,
    fd: OwnedFd,
    /// What it is, for errors.
    name: String,
    readable: bool,
    writable: bool,
    /// From the host, not sent yet; the window bounds them.
    input: VecDeque<Vec<u8>>,
    input_ended: bool,
    window: ReceiveWindow,
    credit: SendCredit,
    sent: u64,
    received: u64,
}

impl Datagrams {
    /// A socket towards the endpoint, which need not be there.
    pub fn dial(stream: u32, endpoint: &Endpoint) -> Outcome<Self> {
        let name = endpoint.to_string();
        let address = endpoint.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(family, SocketType::DGRAM, flags, None)
            .and_then(|fd| connect(&fd, &SocketAddr::new(address, endpoint.port.unwrap_or(0))).map(|()| fd))
            .map_err(|errno| refuse("connecting to", &name, errno))?;
        let window = endpoint.window.unwrap_or(WINDOW);
        Ok(Datagrams {
            stream,
            fd,
            name,
            readable: true,
            writable: true,
            input: VecDeque::new(),
            input_ended: false,
            window: ReceiveWindow::new(window),
            credit: SendCredit::new(window),
            sent: 0,
            received: 0,
        })
    }

    fn can_write(&self) -> bool {
        self.writable && !self.input.is_empty()
    }

    fn write(&mut self, outbox: &mut Outbox) -> Result<(), Errno> {
        if !self.can_write() {
            return Ok(());
        }
        let Some(datagram) = self.input.front() else {
            return Ok(());
        };
        match retry_on_intr(|| send(&self.fd, datagram, SendFlags::empty())) {
            Ok(_) => self.received += datagram.len() as u64,
            Err(Errno::AGAIN) => {
                self.writable = false;
                return Ok(());
            }
            // Too large, or no room for it now: lost.
            Err(Errno::MSGSIZE | Errno::NOBUFS) => {}
            Err(errno) => return Err(errno),
        }
        let length = datagram.len();
        self.input.pop_front();
        if let Some(lump) = self.window.consume(length) {
            outbox.credit(self.stream, 0, lump);
        }
        Ok(())
    }

    fn read(&mut self, scratch: &mut [u8], outbox: &mut Outbox) -> Result<(), Errno> {
        if !self.readable {
            return Ok(());
        }
        match retry_on_intr(|| recv(&self.fd, &mut *scratch, RecvFlags::empty())) {
            Ok((_, count)) => {
                // A frame of no data is none, and a host that does not take them loses them.
                if count > 0 && count <= self.credit.available() {
                    self.credit.spend(count);
                    self.sent += count as u64;
                    outbox.data(self.stream, 1, &scratch[..count]);
                }
            }
            Err(Errno::AGAIN) => self.readable = false,
            Err(errno) => return Err(errno),
        }
        Ok(())
    }
}

impl Carrier for Datagrams {
    fn is_connected(&self) -> bool {
        true
    }

    fn set_ready(&mut self, read: bool, write: bool) {
        self.readable |= read;
        self.writable |= write;
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.window.receive(bytes.len())?;
        self.input.push_back(bytes.to_vec());
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

    fn abort(&mut self) {}

    fn work(&mut self, scratch: &mut [u8], outbox: &mut Outbox) -> Progress {
        // An answer that came before the port was closed is still an answer.
        if let Err(errno) = self.read(scratch, outbox).and_then(|()| self.write(outbox)) {
            return Progress::Over(Err(refuse("sending to", &self.name, errno)));
        }
        if self.input_ended && self.input.is_empty() {
            outbox.end(self.stream, 1);
            return Progress::Over(Ok(json!({"sent": self.sent, "received": self.received})));
        }
        if self.can_write() || self.readable { Progress::More } else { Progress::Waits }
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
