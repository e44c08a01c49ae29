//! Connections on their way out. The guest's own kernel serves them: a packet for somebody far away is given the ends of a connection from
//! an address of ours to a listener of ours, and comes back with the ends that the program knows.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::packet::{ACK, Packet, RST, SYN, Transport};

/// Who connections to the listener seem to come from: never an address of the network (RFC 2544).
pub const STAND_IN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Connections that are remembered, with those that have ended.
const MAX_FLOWS: usize = 4096;
/// Connections that wait for the host's word.
const MAX_PENDING: usize = 64;
/// A SYN carries options and no data; a larger one is somebody's joke.
const MAX_SYN: usize = 256;
/// Questions to the resolver that wait for their answers; older ones are forgotten.
const MAX_QUESTIONS: usize = 256;
const DNS_PORT: u16 = 53;

/// What becomes of a packet of the guest.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was rewritten and goes back to the kernel.
    Back,
    /// This is the answer.
    Answer(Vec<u8>),
    /// The host is to be asked whether there may be a connection.
    Ask {
        /// Its number.
        id: u64,
        /// Where it is to go.
        to: SocketAddrV4,
    },
    /// The host's resolver is asked; its data begin here.
    Question {
        /// Its number.
        id: u16,
        /// Where the question begins.
        at: usize,
        /// Where it ends.
        end: usize,
    },
    /// Nothing.
    Drop,
}

#[derive(Debug)]
enum State {
    /// The SYN waits for the host's word.
    Pending(Vec<u8>),
    /// The host has said yes, on this stream and with this window; the kernel shakes hands.
    Taken(u32, u32),
    /// The listener has it.
    Open,
    /// Over; its last packets still pass.
    Over,
}

#[derive(Debug)]
struct Flow {
    id: u64,
    /// The program's end.
    source: SocketAddrV4,
    /// The far end, as the program knows it.
    destination: SocketAddrV4,
    state: State,
}

/// All connections of one guest.
#[derive(Debug)]
pub struct Flows {
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    /// Where our listener is.
    listener: u16,
    /// By the port that stands for the far end.
    flows: BTreeMap<u16, Flow>,
    by_ends: BTreeMap<(SocketAddrV4, SocketAddrV4), u16>,
    /// Ports of those that wait for the host's word, by number.
    waiting: BTreeMap<u64, u16>,
    by_stream: BTreeMap<u32, u16>,
    /// Numbers and ports of those that are over, oldest first; some may be forgotten already.
    over: VecDeque<(u64, u16)>,
    next_port: u16,
    next_id: u64,
    questions: VecDeque<(u16, SocketAddrV4)>,
    next_question: u16,
}

impl Flows {
    /// For a guest with this address.
    pub fn new(address: Ipv4Addr, gateway: Ipv4Addr, listener: u16) -> Self {
        Flows {
            address,
            gateway,
            listener,
            flows: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            waiting: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            over: VecDeque::new(),
            next_port: 1,
            next_id: 1,
            questions: VecDeque::new(),
            next_question: 0,
        }
    }

    /// Decides about a packet that the kernel sends, and rewrites it.
    pub fn outgoing(&mut self, bytes: &mut [u8]) -> Verdict {
        let Some(packet) = Packet::parse(bytes) else {
            return Verdict::Drop;
        };
        if *packet.source.ip() != self.address {
            return Verdict::Drop;
        }
        match packet.transport {
            Transport::Udp(at) => self.question(&packet, at),
            Transport::Tcp(_) if packet.source.port() == self.listener && *packet.destination.ip() == STAND_IN => {
                match self.flows.get(&packet.destination.port()) {
                    Some(flow) => {
                        packet.readdress(bytes, flow.destination, flow.source);
                        Verdict::Back
                    }
                    None => Verdict::Drop,
                }
            }
            Transport::Tcp(flags) => self.segment(&packet, flags, bytes),
        }
    }

    /// The host takes a connection: the first packet of it, for the kernel. `None` when it does not wait.
    pub fn take(&mut self, id: u64, stream: u32, window: u32) -> Option<Vec<u8>> {
        let port = self.waiting.remove(&id)?;
        let flow = self.flows.get_mut(&port)?;
        let State::Pending(mut syn) = std::mem::replace(&mut flow.state, State::Taken(stream, window)) else {
            return None;
        };
        self.by_stream.insert(stream, port);
        let ends = (SocketAddrV4::new(STAND_IN, port), SocketAddrV4::new(self.address, self.listener));
        Packet::parse(&syn)?.readdress(&mut syn, ends.0, ends.1);
        Some(syn)
    }

    /// The host refuses one: what the program is told.
    pub fn refuse(&mut self, id: u64) -> Option<Vec<u8>> {
        let port = *self.waiting.get(&id)?;
        let State::Pending(syn) = &self.flows.get(&port)?.state else {
            return None;
        };
        let answer = Packet::parse(syn).map(|packet| packet.reset(syn));
        self.forget(port);
        answer
    }

    /// The listener has a connection from this end: its stream and window, if it is one of ours.
    pub fn opened(&mut self, from: SocketAddrV4) -> Option<(u32, u32)> {
        let flow = self.flows.get_mut(&from.port()).filter(|_| *from.ip() == STAND_IN)?;
        let State::Taken(stream, window) = flow.state else {
            return None;
        };
        flow.state = State::Open;
        Some((stream, window))
    }

    /// The stream is over.
    pub fn ended(&mut self, stream: u32) {
        let Some(port) = self.by_stream.remove(&stream) else {
            return;
        };
        if let Some(flow) = self.flows.get_mut(&port) {
            flow.state = State::Over;
            self.over.push_back((flow.id, port));
            if self.over.len() >= 2 * MAX_FLOWS {
                self.over.retain(|(id, port)| self.flows.get(port).is_some_and(|flow| flow.id == *id));
            }
        }
    }

    /// The host is gone: nobody answers what waits.
    pub fn abandon(&mut self) {
        for port in std::mem::take(&mut self.waiting).into_values() {
            self.forget(port);
        }
        for stream in self.by_stream.keys().copied().collect::<Vec<_>>() {
            self.ended(stream);
        }
        self.questions.clear();
    }

    /// The answer to a question as a packet for whoever asked.
    pub fn answer(&mut self, id: u16, data: &[u8]) -> Option<Vec<u8>> {
        let at = self.questions.iter().position(|(one, _)| *one == id)?;
        let (_, asker) = self.questions.remove(at)?;
        super::packet::datagram(SocketAddrV4::new(self.gateway, DNS_PORT), asker, data)
    }

    fn question(&mut self, packet: &Packet, at: usize) -> Verdict {
        if packet.destination != SocketAddrV4::new(self.gateway, DNS_PORT) || at == packet.length {
            return Verdict::Drop;
        }
        self.next_question = self.next_question.wrapping_add(1);
        if self.questions.len() >= MAX_QUESTIONS {
            self.questions.pop_front();
        }
        self.questions.push_back((self.next_question, packet.source));
        Verdict::Question { id: self.next_question, at, end: packet.length }
    }

    fn segment(&mut self, packet: &Packet, flags: u8, bytes: &mut [u8]) -> Verdict {
        let ends = (packet.source, packet.destination);
        let begins = flags & (SYN | ACK | RST) == SYN;
        if let Some(port) = self.by_ends.get(&ends).copied() {
            let flow = self.flows.get(&port);
            match flow.map(|flow| &flow.state) {
                // The kernel asks again.
                Some(State::Pending(_)) => return Verdict::Drop,
                Some(State::Over) if begins => self.forget(port),
                _ => {
                    let listener = SocketAddrV4::new(self.address, self.listener);
                    packet.readdress(bytes, SocketAddrV4::new(STAND_IN, port), listener);
                    return Verdict::Back;
                }
            }
        }
        if !begins {
            // Of a connection that is forgotten.
            return if flags & RST == 0 { Verdict::Answer(packet.reset(bytes)) } else { Verdict::Drop };
        }
        // The kernel asks again when it gets no answer.
        if self.waiting.len() >= MAX_PENDING || packet.length > MAX_SYN || !self.make_room() {
            return Verdict::Drop;
        }
        let Some(port) = self.free_port() else {
            return Verdict::Drop;
        };
        let id = self.next_id;
        self.next_id += 1;
        let state = State::Pending(bytes[..packet.length].to_vec());
        self.flows.insert(port, Flow { id, source: packet.source, destination: packet.destination, state });
        self.by_ends.insert(ends, port);
        self.waiting.insert(id, port);
        Verdict::Ask { id, to: packet.destination }
    }

    /// Forgets the oldest connections that are over, if there are too many. False when all are in use.
    fn make_room(&mut self) -> bool {
        while self.flows.len() >= MAX_FLOWS {
            let Some((id, port)) = self.over.pop_front() else {
                return false;
            };
            if self.flows.get(&port).is_some_and(|flow| flow.id == id) {
                self.forget(port);
            }
        }
        true
    }

    fn free_port(&mut self) -> Option<u16> {
        for _ in 0..=MAX_FLOWS {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(1);
            if !self.flows.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }

    fn forget(&mut self, port: u16) {
        if let Some(flow) = self.flows.remove(&port) {
            self.by_ends.remove(&(flow.source, flow.destination));
            self.waiting.remove(&flow.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::FIN;
    use super::super::packet::tests::{is_sound, tcp};
    use super::*;

    const PROGRAM: &str = "172.16.0.2:40000";
    const FAR: &str = "93.184.216.34:443";
    const LISTENER: &str = "172.16.0.2:9";

    fn flows() -> Flows {
        Flows::new(Ipv4Addr::new(172, 16, 0, 2), Ipv4Addr::new(172, 16, 0, 1), 9)
    }

    fn ends(bytes: &[u8]) -> (String, String) {
        assert!(is_sound(bytes));
        let packet = Packet::parse(bytes).expect("a packet");
        (packet.source.to_string(), packet.destination.to_string())
    }

    fn asked(flows: &mut Flows, from: &str) -> u64 {
        match flows.outgoing(&mut tcp(from, FAR, SYN, b"")) {
            Verdict::Ask { id, to } if to.to_string() == FAR => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_connection_is_asked_for_taken_and_carried_both_ways() {
        let mut flows = flows();
        let id = asked(&mut flows, PROGRAM);
        // The kernel asks again; the host is asked once.
        assert_eq!(flows.outgoing(&mut tcp(PROGRAM, FAR, SYN, b"")), Verdict::Drop);
        let syn = flows.take(id, 7, 8192).expect("it waits");
        assert_eq!(ends(&syn), ("198.18.0.1:1".to_string(), LISTENER.to_string()));
        assert!(flows.take(id, 9, 8192).is_none());
        let mut back = tcp(LISTENER, "198.18.0.1:1", SYN | ACK, b"");
        assert_eq!(flows.outgoing(&mut back), Verdict::Back);
        assert_eq!(ends(&back), (FAR.to_string(), PROGRAM.to_string()));
        assert_eq!(flows.opened("198.18.0.1:1".parse().expect("an address")), Some((7, 8192)));
        let mut data = tcp(PROGRAM, FAR, ACK, b"GET /");
        assert_eq!(flows.outgoing(&mut data), Verdict::Back);
        assert_eq!(ends(&data), ("198.18.0.1:1".to_string(), LISTENER.to_string()));
        flows.ended(7);
        assert_eq!(flows.outgoing(&mut tcp(PROGRAM, FAR, ACK | FIN, b"")), Verdict::Back);
        // The same ends again are another connection.
        assert_ne!(asked(&mut flows, PROGRAM), id);
    }

    #[test]
    fn one_that_is_refused_is_reset_and_so_is_one_that_nobody_knows() {
        let mut flows = flows();
        let id = asked(&mut flows, PROGRAM);
        let reset = flows.refuse(id).expect("it waits");
        assert_eq!(ends(&reset), (FAR.to_string(), PROGRAM.to_string()));
        assert!(flows.refuse(id).is_none());
        let Verdict::Answer(reset) = flows.outgoing(&mut tcp(PROGRAM, FAR, ACK, b"old")) else { panic!("no answer") };
        assert_eq!(ends(&reset), (FAR.to_string(), PROGRAM.to_string()));
        assert_eq!(flows.outgoing(&mut tcp(PROGRAM, FAR, RST, b"")), Verdict::Drop);
    }

    #[test]
    fn foreign_addresses_and_floods_go_nowhere() {
        let mut flows = flows();
        assert_eq!(flows.outgoing(&mut tcp("10.0.0.9:1", FAR, SYN, b"")), Verdict::Drop);
        assert_eq!(flows.outgoing(&mut tcp(PROGRAM, FAR, SYN, &[0; 300])), Verdict::Drop);
        assert_eq!(flows.outgoing(&mut tcp(LISTENER, "198.18.0.1:77", ACK, b"")), Verdict::Drop);
        assert_eq!(flows.outgoing(&mut [0x45, 0, 0]), Verdict::Drop);
        assert_eq!(flows.opened("198.18.0.1:1".parse().expect("an address")), None);
        let mut asks = 0;
        for port in 1..10_000 {
            let from = format!("172.16.0.2:{port}");
            asks += u32::from(matches!(flows.outgoing(&mut tcp(&from, FAR, SYN, b"")), Verdict::Ask { .. }));
        }
        assert_eq!(asks, MAX_PENDING as u32);
        flows.abandon();
        assert!(flows.flows.is_empty());
        for port in 1..10_000u32 {
            let id = asked(&mut flows, &format!("172.16.0.2:{port}"));
            assert!(flows.take(id, 2 * port + 1, 8192).is_some());
            flows.ended(2 * port + 1);
        }
        assert_eq!((flows.flows.len(), flows.by_ends.len()), (MAX_FLOWS, MAX_FLOWS));
    }

    #[test]
    fn questions_go_to_the_gateway_alone_and_answers_to_who_asked() {
        let mut flows = flows();
        let from: SocketAddrV4 = PROGRAM.parse().expect("an address");
        let ask = |flows: &mut Flows, to: &str| {
            let to = to.parse().expect("an address");
            let mut bytes = super::super::packet::datagram(from, to, b"who").expect("it fits");
            let verdict = flows.outgoing(&mut bytes);
            (verdict, bytes)
        };
        let (verdict, bytes) = ask(&mut flows, "172.16.0.1:53");
        let Verdict::Question { id, at, end } = verdict else { panic!("{verdict:?}") };
        assert_eq!(&bytes[at..end], b"who");
        let answer = flows.answer(id, b"it is").expect("somebody asked");
        let packet = Packet::parse(&answer).expect("a packet");
        assert_eq!((packet.source.to_string(), packet.destination), ("172.16.0.1:53".to_string(), from));
        assert!(flows.answer(id, b"again").is_none());
        assert_eq!(ask(&mut flows, "8.8.8.8:53").0, Verdict::Drop);
        assert_eq!(ask(&mut flows, "172.16.0.1:54").0, Verdict::Drop);
    }
}
