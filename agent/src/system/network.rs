//! The guest's network card: MAC, address, gateway and default route, by the ioctls of netdevice(7) and rtnetlink's elders.
//!
//! The address stands alone (prefix 32) and the gateway is told to be on the link: every packet goes to the host, which decides
//! what passes, also between guests.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::ioctl::{Setter, ioctl};
use rustix::net::netdevice::{index_to_name, name_to_index};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::network6::{Router, link_local};
use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::files::read_line;
use crate::requests::{Network, Place6};

const SIOCADDRT: u32 = 0x890b;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCSIFADDR: u32 = 0x8916;
const SIOCSIFNETMASK: u32 = 0x891c;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCSIFHWADDR: u32 = 0x8924;
const IFF_UP: i16 = 1;
/// `ARPHRD_ETHER` of net/if_arp.h.
const ETHERNET: u16 = 1;
const RTF_UP: u16 = 1;
const RTF_GATEWAY: u16 = 2;
const RTF_HOST: u16 = 4;
const INTERFACES: &str = "/sys/class/net";

/// `struct sockaddr_in` of netinet/in.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct SocketAddress {
    family: u16,
    port: u16,
    address: [u8; 4],
    zero: [u8; 8],
}

/// `struct ifreq` of linux/if.h.
#[repr(C)]
pub struct InterfaceRequest<T> {
    /// NUL-terminated.
    pub name: [u8; 16],
    /// What the call reads.
    pub value: T,
}

/// `struct rtentry` of linux/route.h.
#[repr(C)]
struct RouteEntry {
    pad1: usize,
    destination: SocketAddress,
    gateway: SocketAddress,
    mask: SocketAddress,
    flags: u16,
    pad2: i16,
    pad3: usize,
    pad4: usize,
    metric: i16,
    device: *const u8,
    mtu: usize,
    window: usize,
    round_trip: u16,
}

/// The guest's card. Its name may change while it is up, its index does not.
#[derive(Debug)]
pub struct Card {
    index: u32,
    mac: String,
    ipv6: Option<Place6>,
}

/// Sets the card up. `failed_precondition` when there is no card with that MAC.
pub fn set_up_network(network: &Network) -> Outcome<Card> {
    let message =
        || Failure::new(Code::FailedPrecondition, format!("there is no network card with the MAC {}", network.mac));
    let name = find_interface(&network.mac).ok_or_else(message)?;
    let socket = open_socket()?;
    let text = String::from_utf8_lossy(&name);
    let index =
        name_to_index(&socket, text.trim_end_matches('\0')).or_fail(Code::Internal, "finding the network card")?;
    // Without a place in it, IPv6 would only cost packets, and have programs ask for addresses that they cannot reach.
    switch_ipv6(text.trim_end_matches('\0'), network.ipv6.is_some());
    place(&socket, name, (network.address, network.gateway))?;
    let mut card = Card { index, mac: network.mac.clone(), ipv6: None };
    place6(&mut card, network, None);
    Ok(card)
}

/// Gives the card that the machine was saved with a new MAC and a new place; with a new address the kernel forgets the old one's routes.
/// Nothing of its IPv4 place changes for a card that has the MAC already. `failed_precondition` when it is gone.
pub fn move_network(card: &mut Card, network: &Network) -> Outcome<()> {
    if card.mac == network.mac {
        place6(card, network, None);
        return Ok(());
    }
    let before = parse_mac(&card.mac);
    let mac = parse_mac(&network.mac)
        .ok_or_else(|| Failure::new(Code::InvalidArgument, format!("network: bad MAC {:?}", network.mac)))?;
    let socket = open_socket()?;
    let found = index_to_name(&socket, card.index).or_fail(Code::FailedPrecondition, "finding the network card")?;
    let mut name = [0; 16];
    name[..found.len()].copy_from_slice(found.as_bytes());
    let mut value = [0u8; 24];
    value[..2].copy_from_slice(&ETHERNET.to_ne_bytes());
    value[2..8].copy_from_slice(&mac);
    // SAFETY: SIOCSIFHWADDR reads an ifreq with a NUL-terminated name and a sockaddr that begins with six bytes of address.
    unsafe { ioctl(&socket, Setter::<SIOCSIFHWADDR, _>::new(InterfaceRequest { name, value })) }
        .or_fail(Code::Internal, "giving the network card its MAC")?;
    card.mac.clone_from(&network.mac);
    place(&socket, name, (network.address, network.gateway))?;
    place6(card, network, before);
    Ok(())
}

/// Gives the card its IPv6 place and takes the one that it had; `before` is its MAC when that has changed. A guest whose kernel or whose owner wants no
/// IPv6 goes without, and the console says so.
fn place6(card: &mut Card, network: &Network, before: Option<[u8; 6]>) {
    if card.ipv6 == network.ipv6 {
        return;
    }
    if let Err(failure) = try_place6(card, network, before) {
        console::say(&format!("network: no IPv6: {}", failure.message));
    }
}

fn try_place6(card: &mut Card, network: &Network, before: Option<[u8; 6]>) -> Outcome<()> {
    let router = Router::open(card.index)?;
    if let Some(had) = card.ipv6.take() {
        router.remove(had.address, 128)?;
    }
    let name =
        index_to_name(&open_socket()?, card.index).or_fail(Code::FailedPrecondition, "finding the network card")?;
    switch_ipv6(&name, network.ipv6.is_some());
    let Some(place) = network.ipv6 else { return Ok(()) };
    router.place(&place)?;
    card.ipv6 = Some(place);
    // The kernel makes one of the MAC that the card has when it sees its carrier: too late for a card that comes up, and never again for
    // one with another MAC. The host believes what goes with the MAC that the card has now.
    if let Some(old) = before {
        router.remove(link_local(old), 64)?;
    }
    if let Some(mac) = parse_mac(&network.mac) {
        router.set_link_local(mac)?;
    }
    Ok(())
}

/// Whether the card speaks IPv6 (Documentation/networking/ip-sysctl.rst). A kernel without it has nothing to switch.
fn switch_ipv6(name: &str, on: bool) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    let _ = std::fs::write(path, if on { "0" } else { "1" });
}

fn open_socket() -> Outcome<OwnedFd> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .or_fail(Code::Internal, "opening a socket")
}

/// How long packets of the interface may be.
pub fn set_mtu(name: [u8; 16], mtu: i32) -> Outcome<()> {
    let mut value = [0u8; 24];
    value[..4].copy_from_slice(&mtu.to_ne_bytes());
    // SAFETY: SIOCSIFMTU reads an ifreq with a NUL-terminated name and an int.
    unsafe { ioctl(&open_socket()?, Setter::<SIOCSIFMTU, _>::new(InterfaceRequest { name, value })) }
        .or_fail(Code::Internal, "setting the MTU")
}

/// Gives an interface address, state and routes.
pub fn place_interface(name: [u8; 16], address: Ipv4Addr, gateway: Ipv4Addr) -> Outcome<()> {
    place(&open_socket()?, name, (address, gateway))
}

/// Address, state and routes; the state alone for a guest that has no place yet. Setting the state takes longest.
fn place(socket: &OwnedFd, name: [u8; 16], (address, gateway): (Ipv4Addr, Ipv4Addr)) -> Outcome<()> {
    if address.is_unspecified() {
        return bring_up(socket, name);
    }
    set_address::<SIOCSIFADDR>(socket, name, address)?;
    set_address::<SIOCSIFNETMASK>(socket, name, Ipv4Addr::BROADCAST)?;
    bring_up(socket, name)?;
    let any = Ipv4Addr::UNSPECIFIED;
    add_route(socket, &name, (gateway, Ipv4Addr::BROADCAST, any), RTF_UP | RTF_HOST)?;
    add_route(socket, &name, (any, any, gateway), RTF_UP | RTF_GATEWAY)
}

fn bring_up(socket: &OwnedFd, name: [u8; 16]) -> Outcome<()> {
    let mut flags = [0u8; 24];
    flags[..2].copy_from_slice(&IFF_UP.to_ne_bytes());
    // SAFETY: SIOCSIFFLAGS reads an ifreq with a NUL-terminated name and flags in its first two bytes.
    unsafe { ioctl(socket, Setter::<SIOCSIFFLAGS, _>::new(InterfaceRequest { name, value: flags })) }
        .or_fail(Code::Internal, "bringing the network card up")
}

fn find_interface(mac: &str) -> Option<[u8; 16]> {
    let entries = std::fs::read_dir(INTERFACES).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let found = names.find(|name| name.len() < 16 && read_line(&format!("{INTERFACES}/{name}/address")) == mac)?;
    let mut name = [0; 16];
    name[..found.len()].copy_from_slice(found.as_bytes());
    Some(name)
}

/// Six pairs of hexadecimal digits with colons between them.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = parts.next().filter(|part| part.len() == 2).and_then(|part| u8::from_str_radix(part, 16).ok())?;
    }
    parts.next().is_none().then_some(mac)
}

fn set_address<const REQUEST: u32>(socket: &OwnedFd, name: [u8; 16], address: Ipv4Addr) -> Outcome<()> {
    let mut value = [0u8; 24];
    value[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    value[4..8].copy_from_slice(&address.octets());
    // SAFETY: SIOCSIFADDR and SIOCSIFNETMASK read an ifreq with a NUL-terminated name and a sockaddr_in.
    unsafe { ioctl(socket, Setter::<REQUEST, _>::new(InterfaceRequest { name, value })) }
        .or_fail(Code::Internal, "giving the network card its address")
}

fn add_route(
    socket: &OwnedFd,
    name: &[u8; 16],
    (destination, mask, gateway): (Ipv4Addr, Ipv4Addr, Ipv4Addr),
    flags: u16,
) -> Outcome<()> {
    let entry = RouteEntry {
        pad1: 0,
        destination: socket_address(destination),
        gateway: socket_address(gateway),
        mask: socket_address(mask),
        flags,
        pad2: 0,
        pad3: 0,
        pad4: 0,
        metric: 0,
        device: name.as_ptr(),
        mtu: 0,
        window: 0,
        round_trip: 0,
    };
    // SAFETY: SIOCADDRT reads an rtentry whose device points to a NUL-terminated name that outlives the call.
    match unsafe { ioctl(socket, Setter::<SIOCADDRT, _>::new(entry)) } {
        // It outlived the address that it was made with.
        Err(Errno::EXIST) => Ok(()),
        outcome => outcome.or_fail(Code::Internal, "adding a route"),
    }
}

fn socket_address(address: Ipv4Addr) -> SocketAddress {
    SocketAddress { family: libc::AF_INET as u16, port: 0, address: address.octets(), zero: [0; 8] }
}
