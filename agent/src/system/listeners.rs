//! `listeners`: sockets that wait for others, from `/proc/net` and `/proc/*/fd` (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::files::{read_first_lines, read_line};

/// Entries in one answer.
const MAX_LISTENERS: usize = 1024;
/// Descriptors of one process, and of all, that are looked at for its sockets: a program may have a million.
const MAX_DESCRIPTORS: usize = 8192;
const MAX_ALL_DESCRIPTORS: usize = 262_144;
/// Of a table of sockets, 150 bytes each.
const MAX_TABLE: usize = 1024 * 1024;

#[derive(Debug, PartialEq, Eq)]
struct Socket {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// The answer to `listeners`. `pid` and `command` are absent where no process could be found.
pub fn list_listeners() -> Value {
    let mut sockets = Vec::new();
    for (file, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        // Listening sockets come first (tcp_get_idx() in net/ipv4/tcp_ipv4.c), before what may be many thousand connections.
        let text = read_first_lines(&format!("/proc/net/{file}"), MAX_TABLE);
        sockets.extend(text.lines().filter_map(|line| parse_socket(line, protocol)));
    }
    sockets.truncate(MAX_LISTENERS);
    let owners = socket_owners(sockets.iter().map(|socket| socket.inode).collect());
    let entries = sockets.iter().map(|socket| {
        let mut entry = json!({
            "protocol": socket.protocol,
            "address": socket.address.to_string(),
            "port": socket.port,
        });
        if let Some((pid, command)) = owners.get(&socket.inode) {
            entry["pid"] = json!(pid);
            entry["command"] = json!(command);
        }
        entry
    });
    json!({"listeners": entries.collect::<Vec<_>>()})
}

/// One line of `/proc/net/tcp` and its like, if it is a listening TCP or an unconnected UDP socket.
fn parse_socket(line: &str, protocol: &'static str) -> Option<Socket> {
    const TCP_LISTEN: &str = "0A";
    const UDP_UNCONNECTED: &str = "07";
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let wanted = if protocol == "tcp" { TCP_LISTEN } else { UDP_UNCONNECTED };
    if state != wanted {
        return None;
    }
    Some(Socket {
        protocol,
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.nth(5)?.parse().ok()?,
    })
}

/// Addresses are written as words of 32 bits in the machine's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into())
        }
        _ => None,
    }
}

/// Process id and command by socket inode, of those that are wanted.
fn socket_owners(mut wanted: BTreeSet<u64>) -> BTreeMap<u64, (u32, String)> {
    let mut owners = BTreeMap::new();
    let mut left = MAX_ALL_DESCRIPTORS;
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if wanted.is_empty() || left == 0 {
            break;
        }
        let descriptors = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for fd in descriptors.take(MAX_DESCRIPTORS.min(left)) {
            left -= 1;
            let link = std::fs::read_link(fd.path()).unwrap_or_default();
            let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()).filter(|inode| wanted.remove(inode)) {
                owners.insert(inode, (pid, read_line(&format!("/proc/{pid}/comm"))));
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_socket_takes_listeners_only() {
        let listening =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1";
        let expected = Socket { protocol: "tcp", address: IpAddr::from([127, 0, 0, 1]), port: 8080, inode: 12345 };
        assert_eq!(parse_socket(listening, "tcp"), Some(expected));
        assert_eq!(parse_socket(&listening.replace(" 0A ", " 01 "), "tcp"), None);
        assert_eq!(parse_socket(listening, "udp"), None);
        assert_eq!(parse_socket("  sl  local_address rem_address   st", "tcp"), None);
    }

    #[test]
    fn socket_owners_finds_what_is_wanted_and_nothing_else() {
        let sockets = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let inodes = sockets.each_ref().map(|socket| rustix::fs::fstat(socket).expect("a socket").st_ino);
        let found = socket_owners(BTreeSet::from([inodes[0]]));
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [inodes[0]]);
        assert_eq!(found[&inodes[0]].0, std::process::id());
        assert!(socket_owners(BTreeSet::new()).is_empty());
    }

    #[test]
    fn parse_address_reads_both_families() {
        let loopback = parse_address("00000000000000000000000001000000");
        assert_eq!(loopback, Some(IpAddr::from(Ipv6Addr::LOCALHOST)));
        assert_eq!(parse_address("00000000"), Some(IpAddr::from([0, 0, 0, 0])));
        assert_eq!(parse_address("0000"), None);
    }
}
