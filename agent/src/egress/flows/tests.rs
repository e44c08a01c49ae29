//! Connections that are asked for, taken, refused and forgotten.

use super::*;
use crate::egress::packet::FIN;
use crate::egress::packet::tests::{is_sound, tcp};

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
        let mut bytes = crate::egress::packet::datagram(from, to, b"who").expect("it fits");
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
