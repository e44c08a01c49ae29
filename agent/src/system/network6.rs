//! The guest's IPv6 address and routes, by rtnetlink(7): the older calls can neither skip the wait for others that might have the
//! address nor say that a gateway is on the link.

use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::failure::{Code, OrFail, Outcome};
use crate::requests::Place6;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
/// `NLM_F_REQUEST` and `NLM_F_ACK` of linux/netlink.h.
const ASK: u16 = 1 | 4;
/// `NLM_F_REPLACE` and `NLM_F_CREATE`.
const SET: u16 = 0x100 | 0x400;
const NLMSG_ERROR: u16 = 2;
const HEADER: usize = 16;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const LINK_SCOPE: u8 = 253;

/// A card by its index, to be placed.
pub struct Router {
    socket: OwnedFd,
    index: u32,
}

impl Router {
    /// For the card with this index.
    pub fn open(index: u32) -> Outcome<Self> {
        // The protocol's number is zero: NETLINK_ROUTE.
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map(|socket| Self { socket, index })
            .or_fail(Code::Internal, "opening a socket for routes")
    }

    /// Address and routes: the address alone (prefix 128), and everything over the gateway. May be repeated.
    pub fn place(&self, place: &Place6) -> Outcome<()> {
        let everything = Ipv6Addr::UNSPECIFIED;
        self.set_address(place.address, 128, 0)
            .and_then(|()| self.set_route((place.gateway, 128), None))
            .and_then(|()| self.set_route((everything, 0), Some(place.gateway)))
            .or_fail(Code::Internal, "giving the network card its IPv6 place")
    }

    /// Takes an address away; one that is not there is well.
    pub fn remove(&self, address: Ipv6Addr, prefix: u8) -> Outcome<()> {
        match self.ask(RTM_DELADDR, 0, &self.address_message(address, prefix, 0)) {
            Ok(()) | Err(Errno::ADDRNOTAVAIL) => Ok(()),
            outcome => outcome.or_fail(Code::Internal, "taking an IPv6 address from the network card"),
        }
    }

    /// The address that a card gives itself, for one whose MAC has changed while it was up.
    pub fn set_link_local(&self, mac: [u8; 6]) -> Outcome<()> {
        self.set_address(link_local(mac), 64, LINK_SCOPE)
            .or_fail(Code::Internal, "giving the network card its link-local address")
    }

    fn set_address(&self, address: Ipv6Addr, prefix: u8, scope: u8) -> Result<(), Errno> {
        self.ask(RTM_NEWADDR, SET, &self.address_message(address, prefix, scope))
    }

    /// `struct ifaddrmsg` of linux/if_addr.h with its attributes.
    fn address_message(&self, address: Ipv6Addr, prefix: u8, scope: u8) -> Vec<u8> {
        let mut message = vec![libc::AF_INET6 as u8, prefix, IFA_F_NODAD, scope];
        message.extend(self.index.to_ne_bytes());
        attribute(&mut message, IFA_LOCAL, &address.octets());
        attribute(&mut message, IFA_ADDRESS, &address.octets());
        message
    }

    /// `struct rtmsg` of linux/rtnetlink.h with its attributes.
    fn set_route(&self, (target, prefix): (Ipv6Addr, u8), gateway: Option<Ipv6Addr>) -> Result<(), Errno> {
        let mut message = vec![libc::AF_INET6 as u8, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST];
        // The card may not have seen its carrier yet, and then the kernel does not believe that the gateway is there.
        message.extend(gateway.map_or(0, |_| RTNH_F_ONLINK).to_ne_bytes());
        attribute(&mut message, RTA_DST, &target.octets());
        attribute(&mut message, RTA_OIF, &self.index.to_ne_bytes());
        if let Some(gateway) = gateway {
            attribute(&mut message, RTA_GATEWAY, &gateway.octets());
        }
        self.ask(RTM_NEWROUTE, SET, &message)
    }

    /// Sends one message and reads what the kernel says of it.
    fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((ASK | flags).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        send(&self.socket, &message, SendFlags::empty())?;
        let mut answer = [0u8; 1024];
        let (length, _) = recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        verdict(&answer[..length])
    }
}

/// The address that a card with this MAC gives itself (RFC 4291, appendix A).
pub fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// `struct nlmsgerr`: zero is well, else an errno below zero.
fn verdict(answer: &[u8]) -> Result<(), Errno> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw_os_error(code.saturating_neg())),
        _ => Err(Errno::PROTO),
    }
}

/// A `struct rtattr`, whose length is a multiple of four.
fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(((4 + value.len()) as u16).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_gives_itself_an_address_of_its_mac() {
        let address = link_local([0x02, 0x62, 0xac, 0x10, 0x00, 0x02]);
        assert_eq!(address.to_string(), "fe80::62:acff:fe10:2");
    }

    #[test]
    fn the_kernels_word_is_read_and_nonsense_is_none() {
        let mut answer = vec![0u8; HEADER + 4];
        answer[4] = 2;
        assert_eq!(verdict(&answer), Ok(()));
        answer[HEADER..].copy_from_slice(&(-libc::EACCES).to_ne_bytes());
        assert_eq!(verdict(&answer), Err(Errno::ACCESS));
        assert_eq!(verdict(&answer[..10]), Err(Errno::PROTO));
    }
}
