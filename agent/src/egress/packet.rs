//! IPv4 packets with TCP or UDP in them (RFC 791, RFC 9293, RFC 768): read with suspicion, rewritten in place, or made anew.

use std::net::{Ipv4Addr, SocketAddrV4};

const IP_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// FIN, as it stands in the flags of TCP; so do the next ones.
pub const FIN: u8 = 1;
/// SYN.
pub const SYN: u8 = 2;
/// RST.
pub const RST: u8 = 4;
/// ACK.
pub const ACK: u8 = 16;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// With these flags.
    Tcp(u8),
    /// Whose data begin here.
    Udp(usize),
}

/// A packet that was looked at; its bytes are elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Who sent it.
    pub source: SocketAddrV4,
    /// Whom it is for.
    pub destination: SocketAddrV4,
    /// What it carries.
    pub transport: Transport,
    /// Bytes of it; more may follow and mean nothing.
    pub length: usize,
    header: usize,
}

impl Packet {
    /// Looks at a packet. `None` for what is neither TCP nor UDP over IPv4, is cut off, or is only a part.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 15) * 4;
        let length = usize::from(word(bytes, 2)?);
        let is_whole = bytes[0] >> 4 == 4 && header >= IP_HEADER && length >= header && length <= bytes.len();
        // The offset of a fragment, and whether more follow.
        if !is_whole || word(bytes, 6)? & 0x3fff != 0 {
            return None;
        }
        let bytes = &bytes[..length];
        let (transport, least) = match bytes[9] {
            TCP => (Transport::Tcp(*bytes.get(header + 13)? & 63), TCP_HEADER),
            UDP => (Transport::Udp(header + UDP_HEADER), UDP_HEADER),
            _ => return None,
        };
        if length < header + least {
            return None;
        }
        let end = |at: usize, port: usize| Some(SocketAddrV4::new(address(bytes, at)?, word(bytes, header + port)?));
        Some(Packet { source: end(12, 0)?, destination: end(16, 2)?, transport, length, header })
    }

    /// Gives a TCP packet, of which these are the bytes, other ends. Checksums that were right stay right (RFC 1624).
    pub fn readdress(&self, bytes: &mut [u8], source: SocketAddrV4, destination: SocketAddrV4) {
        let mut new = [0; 12];
        new[..4].copy_from_slice(&source.ip().octets());
        new[4..8].copy_from_slice(&destination.ip().octets());
        new[8..10].copy_from_slice(&source.port().to_be_bytes());
        new[10..].copy_from_slice(&destination.port().to_be_bytes());
        let mut old = [0; 12];
        old[..8].copy_from_slice(&bytes[12..20]);
        old[8..].copy_from_slice(&bytes[self.header..self.header + 4]);
        update(bytes, 10, &old[..8], &new[..8]);
        update(bytes, self.header + 16, &old, &new);
        bytes[12..20].copy_from_slice(&new[..8]);
        bytes[self.header..self.header + 4].copy_from_slice(&new[8..]);
    }

    /// What ends a connection that sent this TCP packet, as a host where nobody listens would (RFC 9293, section 3.5.2).
    pub fn reset(&self, bytes: &[u8]) -> Vec<u8> {
        let Transport::Tcp(flags) = self.transport else {
            return Vec::new();
        };
        let field = |at: usize| {
            let bytes = bytes.get(self.header + at..self.header + at + 4);
            bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
        };
        let mut tcp = [0; TCP_HEADER];
        tcp[..2].copy_from_slice(&self.destination.port().to_be_bytes());
        tcp[2..4].copy_from_slice(&self.source.port().to_be_bytes());
        if flags & ACK != 0 {
            tcp[4..8].copy_from_slice(&field(8).to_be_bytes());
            tcp[13] = RST;
        } else {
            let after = field(4).wrapping_add(u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0));
            tcp[8..12].copy_from_slice(&after.to_be_bytes());
            tcp[13] = RST | ACK;
        }
        tcp[12] = (TCP_HEADER as u8 / 4) << 4;
        let mut pseudo = Vec::with_capacity(12 + TCP_HEADER);
        pseudo.extend(self.destination.ip().octets());
        pseudo.extend(self.source.ip().octets());
        pseudo.extend([0, TCP, 0, TCP_HEADER as u8]);
        pseudo.extend(tcp);
        tcp[16..18].copy_from_slice(&(!sum(0, &pseudo)).to_be_bytes());
        wrap(TCP, *self.destination.ip(), *self.source.ip(), &tcp)
    }
}

/// A UDP packet; `None` when the data do not fit one. It has no checksum, which IPv4 allows.
pub fn datagram(source: SocketAddrV4, destination: SocketAddrV4, data: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(IP_HEADER + UDP_HEADER + data.len()).ok()? - IP_HEADER as u16;
    let mut udp = Vec::with_capacity(UDP_HEADER + data.len());
    udp.extend(source.port().to_be_bytes());
    udp.extend(destination.port().to_be_bytes());
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(data);
    Some(wrap(UDP, *source.ip(), *destination.ip(), &udp))
}

fn wrap(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IP_HEADER];
    packet[0] = 4 << 4 | (IP_HEADER as u8 / 4);
    packet[2..4].copy_from_slice(&((IP_HEADER + payload.len()) as u16).to_be_bytes());
    packet[8] = 64;
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&destination.octets());
    let checksum = !sum(0, &packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(payload);
    packet
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

/// The sum in ones' complement of 16-bit words (RFC 1071).
fn sum(start: u16, bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut total = words.fold(u32::from(start), u32::wrapping_add);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// HC' = ~(~HC + ~m + m'), equation 3 of RFC 1624.
fn update(bytes: &mut [u8], at: usize, old: &[u8], new: &[u8]) {
    let Some(checksum) = word(bytes, at) else {
        return;
    };
    let without: Vec<u8> = old.iter().map(|byte| !byte).collect();
    let updated = !sum(sum(!checksum, &without), new);
    bytes[at..at + 2].copy_from_slice(&updated.to_be_bytes());
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A TCP packet with right checksums.
    pub fn tcp(source: &str, destination: &str, flags: u8, data: &[u8]) -> Vec<u8> {
        let ends: [SocketAddrV4; 2] = [source, destination].map(|end| end.parse().expect("an address"));
        let mut tcp = vec![0; TCP_HEADER];
        tcp[..2].copy_from_slice(&ends[0].port().to_be_bytes());
        tcp[2..4].copy_from_slice(&ends[1].port().to_be_bytes());
        tcp[4..8].copy_from_slice(&1000u32.to_be_bytes());
        tcp[8..12].copy_from_slice(&2000u32.to_be_bytes());
        tcp[12] = 5 << 4;
        tcp[13] = flags;
        tcp.extend(data);
        let checksum = !tcp_sum(ends[0], ends[1], &tcp);
        tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
        wrap(TCP, *ends[0].ip(), *ends[1].ip(), &tcp)
    }

    fn tcp_sum(source: SocketAddrV4, destination: SocketAddrV4, tcp: &[u8]) -> u16 {
        let mut pseudo = [source.ip().octets(), destination.ip().octets()].concat();
        pseudo.extend([0, TCP]);
        pseudo.extend((tcp.len() as u16).to_be_bytes());
        pseudo.extend(tcp);
        sum(0, &pseudo)
    }

    /// Whether both checksums are right.
    pub fn is_sound(bytes: &[u8]) -> bool {
        let packet = Packet::parse(bytes).expect("a packet");
        let whole = tcp_sum(packet.source, packet.destination, &bytes[packet.header..packet.length]);
        sum(0, &bytes[..packet.header]) == 0xffff && whole == 0xffff
    }

    #[test]
    fn readdress_keeps_checksums_right() {
        for data in [&b""[..], b"odd", b"even"] {
            let mut bytes = tcp("10.0.0.2:40000", "93.184.216.34:443", ACK, data);
            assert!(is_sound(&bytes));
            let packet = Packet::parse(&bytes).expect("a packet");
            let ends = ["198.18.0.1:7", "10.0.0.2:5000"].map(|end| end.parse().expect("an address"));
            packet.readdress(&mut bytes, ends[0], ends[1]);
            let after = Packet::parse(&bytes).expect("a packet");
            assert_eq!([after.source, after.destination], ends);
            assert!(is_sound(&bytes));
        }
    }

    #[test]
    fn reset_answers_a_syn_and_anything_else() {
        for (flags, answer) in [(SYN, RST | ACK), (ACK, RST)] {
            let bytes = tcp("10.0.0.2:40000", "1.2.3.4:80", flags, b"");
            let reset = Packet::parse(&bytes).expect("a packet").reset(&bytes);
            assert!(is_sound(&reset));
            let found = Packet::parse(&reset).expect("a packet");
            assert_eq!(found.transport, Transport::Tcp(answer));
            assert_eq!(
                (found.source.to_string(), found.destination.to_string()),
                ("1.2.3.4:80".to_string(), "10.0.0.2:40000".to_string())
            );
            let number = if flags == SYN { &reset[28..32] } else { &reset[24..28] };
            assert_eq!(number, if flags == SYN { 1001u32 } else { 2000 }.to_be_bytes());
        }
    }

    #[test]
    fn parse_survives_what_is_cut_off_or_garbage() {
        let whole = tcp("10.0.0.2:40000", "1.2.3.4:80", SYN, b"data");
        for end in 0..whole.len() {
            assert!(Packet::parse(&whole[..end]).is_none(), "{end}");
        }
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 40) as u8;
            }
            if let Some(packet) = Packet::parse(&bytes) {
                packet.reset(&bytes);
                packet.readdress(&mut bytes, packet.destination, packet.source);
            }
        }
        let mut fragment = whole;
        fragment[6] = 0x20;
        assert!(Packet::parse(&fragment).is_none());
    }

    #[test]
    fn datagram_is_read_again() {
        let ends = ["10.0.0.1:53", "10.0.0.2:40000"].map(|end| end.parse().expect("an address"));
        let bytes = datagram(ends[0], ends[1], b"answer").expect("it fits");
        let packet = Packet::parse(&bytes).expect("a packet");
        let Transport::Udp(at) = packet.transport else { panic!("UDP") };
        assert_eq!((packet.source, packet.destination, &bytes[at..]), (ends[0], ends[1], &b"answer"[..]));
        assert!(datagram(ends[0], ends[1], &vec![0; 65_508]).is_none());
    }
}
