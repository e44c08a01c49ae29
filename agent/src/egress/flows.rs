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
mod tests;
