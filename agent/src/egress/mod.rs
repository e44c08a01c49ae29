//! The way out for a guest without a network card: a TUN device whose connections and questions to the resolver the host carries.

mod flows;
mod packet;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::{self, Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with};

use crate::failure::{Code, OrFail, Outcome};
use crate::requests::EgressRequest;
use crate::wire::{ReceiveWindow, SendCredit};

pub use flows::{Flows, Verdict};

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 256;

/// The device, the listener that the kernel serves it with, and what is on its way.
#[derive(Debug)]
pub struct Egress {
    device: OwnedFd,
    listener: OwnedFd,
    /// The guest's address.
    pub address: Ipv4Addr,
    /// What is on its way.
    pub flows: Flows,
    /// The host's stream; none while it is gone.
    pub stream: Option<u32>,
    /// Of questions to the host.
    pub credit: SendCredit,
    /// Of answers.
    pub window: ReceiveWindow,
    /// Whether the device may have packets.
    pub readable: bool,
    /// Whether connections may wait.
    pub acceptable: bool,
}

impl Egress {
    /// Serves a device that is up and has the request's address.
    pub fn new(device: OwnedFd, request: &EgressRequest) -> Outcome<Self> {
        let (listener, port) = open_listener(request.address).or_fail(Code::Internal, "listening for connections")?;
        Ok(Egress {
            device,
            listener,
            address: request.address,
            flows: Flows::new(request.address, request.gateway, port),
            stream: None,
            credit: SendCredit::default(),
            window: ReceiveWindow::default(),
            readable: true,
            acceptable: true,
        })
    }

    /// To be watched for packets.
    pub fn device(&self) -> &OwnedFd {
        &self.device
    }

    /// To be watched for connections.
    pub fn listener(&self) -> &OwnedFd {
        &self.listener
    }

    /// Serves a host from here on.
    pub fn attach(&mut self, stream: u32) {
        self.detach();
        self.stream = Some(stream);
        (self.credit, self.window) = (SendCredit::default(), ReceiveWindow::default());
    }

    /// The host is gone.
    pub fn detach(&mut self) {
        self.stream = None;
        self.flows.abandon();
    }

    /// The next packet of the kernel; `None` when there is none now.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match retry_on_intr(|| io::read(&self.device, &mut *buffer)) {
            Ok(count) => Some(count),
            Err(_) => {
                self.readable = false;
                None
            }
        }
    }

    /// Gives the kernel a packet. One that it does not take is lost, as packets are.
    pub fn write(&self, packet: &[u8]) {
        let _ = retry_on_intr(|| io::write(&self.device, packet));
    }

    /// The next connection, and where it seems to come from; `None` when there is none now.
    pub fn accept(&mut self) -> Option<(OwnedFd, SocketAddrV4)> {
        loop {
            match acceptfrom_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((fd, Some(from))) => match SocketAddr::try_from(from) {
                    Ok(SocketAddr::V4(from)) => return Some((fd, from)),
                    _ => continue,
                },
                // That one has given up (accept(2)).
                Ok((_, None)) | Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => {
                    self.acceptable = false;
                    return None;
                }
            }
        }
    }
}

fn open_listener(address: Ipv4Addr) -> Result<(OwnedFd, u16), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&fd, &SocketAddrV4::new(address, 0))?;
    listen(&fd, BACKLOG)?;
    let port = SocketAddr::try_from(getsockname(&fd)?)?.port();
    Ok((fd, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn connections_that_were_left_are_taken_later_and_it_is_known_when_none_is_left() {
        let nowhere = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty());
        let request = EgressRequest { address: Ipv4Addr::LOCALHOST, gateway: Ipv4Addr::new(127, 0, 0, 2) };
        let mut egress = Egress::new(nowhere.expect("it opens"), &request).expect("a listener");
        let address = SocketAddr::try_from(getsockname(egress.listener()).expect("a name")).expect("an address");
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(address).expect("it listens")).collect();
        for client in &clients {
            assert!(egress.acceptable);
            let (_, from) = egress.accept().expect("one waits");
            assert_eq!(SocketAddr::V4(from), client.local_addr().expect("an address"));
        }
        // Only a look at an empty queue tells: the kernel speaks up for the next one after that, and not before.
        assert!(egress.acceptable);
        assert!(egress.accept().is_none());
        assert!(!egress.acceptable);
    }
}
