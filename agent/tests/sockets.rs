//! `dial`, `listen`, `accept`: bytes both ways, half-closed, and at the pace of whoever reads.

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};

use banger_agent::wire::{FrameType, WINDOW};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
use serde_json::{Value, json};
use support::{Host, start};

/// A port of localhost, over IPv4 and where there is one IPv6, that nobody listens at and nobody can while the sockets are there.
fn hold_port() -> (Vec<OwnedFd>, u16) {
    // The first port may be taken in the other family.
    (0..100)
        .find_map(|_| {
            let (first, port) = bind_only(Ipv4Addr::LOCALHOST.into(), 0).expect("a port");
            match bind_only(Ipv6Addr::LOCALHOST.into(), port) {
                Ok((second, _)) => Some((vec![first, second], port)),
                Err(Errno::ADDRINUSE) => None,
                // No IPv6 here, so nobody listens there either.
                Err(_) => Some((vec![first], port)),
            }
        })
        .expect("a port that is free in both")
}

fn bind_only(address: IpAddr, port: u16) -> Result<(OwnedFd, u16), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddr::new(address, port))?;
    let port = SocketAddr::try_from(getsockname(&socket)?)?.port();
    Ok((socket, port))
}

fn control(host: &mut Host, stream: u32) -> Value {
    let frame = host.read_of(stream);
    assert_eq!(frame.kind, FrameType::Control, "{}", String::from_utf8_lossy(&frame.payload));
    serde_json::from_slice(&frame.payload).expect("JSON")
}

#[test]
fn dial_carries_bytes_both_ways_and_each_end_by_itself() {
    let (_agent, mut host) = start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a connection");
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("its end");
        client.write_all(&[&all[..], b" back"].concat()).expect("it reads");
    });
    let stream = host.open(json!({"kind": "dial", "port": port}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    host.send_data(stream, b"there");
    host.send_end(stream);
    let answer = host.finish(stream);
    assert_eq!((answer.text(), &answer.ends[..]), ("there back", &[1][..]));
    assert_eq!(answer.result, json!({"ok": {"sent": 10, "received": 5}}));
    server.join().expect("it ends");
}

#[test]
fn a_listener_on_ipv6_alone_and_one_on_a_path_are_reached() {
    let (_agent, mut host) = start();
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        let port = listener.local_addr().expect("an address").port();
        let stream = host.open(json!({"kind": "dial", "port": port}));
        assert_eq!(control(&mut host, stream), json!({"connected": {}}));
        drop(listener.accept().expect("a connection"));
    } else {
        eprintln!("skipped the half on ::1: this host has no IPv6");
    }
    let path = std::env::temp_dir().join(format!("banger-dial-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a path");
    let stream = host.open(json!({"kind": "dial", "unix": path}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    listener.accept().expect("a connection").0.write_all(b"hi").expect("it reads");
    host.send_end(stream);
    assert_eq!(host.finish(stream).text(), "hi");
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn a_port_where_nobody_listens_is_said_so() {
    let (_agent, mut host) = start();
    // Bound and not listening: nobody else can take the port meanwhile.
    let (_held, port) = hold_port();
    let answer = host.request(json!({"kind": "dial", "port": port}));
    assert_eq!(answer["error"]["code"], json!("failed_precondition"));
    let words = format!("nobody listens on localhost:{port} in the guest");
    assert_eq!(answer["error"]["message"], json!(words));
    let missing = host.request(json!({"kind": "dial", "unix": "/no/such/socket"}));
    assert_eq!(missing["error"]["code"], json!("not_found"));
}

#[test]
fn a_reader_that_stops_stops_its_own_connection_only() {
    let (_agent, mut host) = start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let flood = host.open(json!({"kind": "dial", "port": port}));
    control(&mut host, flood);
    let (mut source, _) = listener.accept().expect("a connection");
    let writer = std::thread::spawn(move || source.write_all(&vec![7; 64_000_000]));
    let other = host.open(json!({"kind": "dial", "port": port}));
    control(&mut host, other);
    let (mut friend, _) = listener.accept().expect("a connection");
    friend.write_all(b"alive").expect("it reads");
    friend.shutdown(Shutdown::Write).expect("shut down");
    host.send_end(other);
    let mut flooded = 0;
    // Without credit no more than the window comes; the other one is served meanwhile.
    loop {
        let frame = host.read();
        match (frame.stream == flood, frame.kind) {
            (true, FrameType::Data) => flooded += frame.payload.len() - 1,
            (false, FrameType::Close) => break,
            _ => {}
        }
    }
    assert!(flooded <= WINDOW as usize);
    host.send(FrameType::Reset, flood, &[]);
    host.expect_silence_but_data();
    assert!(writer.join().expect("it ends").is_err());
}

#[test]
fn listen_announces_connections_that_accept_takes() {
    let (_agent, mut host) = start();
    let listener = host.open(json!({"kind": "listen", "port": 0}));
    let port = control(&mut host, listener)["listening"]["port"].as_u64().expect("a port") as u16;
    let taken = host.request(json!({"kind": "listen", "port": port}));
    assert_eq!(taken["error"]["code"], json!("failed_precondition"));
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let id = control(&mut host, listener)["accepted"]["id"].clone();
    let stream = host.open(json!({"kind": "accept", "id": id}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    host.send_data(stream, b"hello");
    host.send_end(stream);
    let mut text = String::new();
    client.read_to_string(&mut text).expect("its end");
    assert_eq!(text, "hello");
    client.write_all(b"bye").expect("it reads");
    drop(client);
    assert_eq!(host.finish(stream).text(), "bye");
    assert_eq!(host.request(json!({"kind": "accept", "id": id}))["error"]["code"], json!("not_found"));
    host.send(FrameType::Reset, listener, &[]);
    host.expect_silence();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn datagrams_keep_their_borders_and_a_closed_port_ends_them() {
    let (_agent, mut host) = start();
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("an address").port();
    let stream = host.open(json!({"kind": "datagrams", "port": port}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    host.send_data(stream, b"one");
    host.send_data(stream, b"three");
    let mut bytes = [0; 65_536];
    let (count, from) = server.recv_from(&mut bytes).expect("a datagram");
    assert_eq!(&bytes[..count], b"one");
    let (count, _) = server.recv_from(&mut bytes).expect("a datagram");
    assert_eq!(&bytes[..count], b"three");
    for answer in [&[b'a'; 1][..], &[], &[b'b'; 60_000]] {
        server.send_to(answer, from).expect("sent");
    }
    // One of nothing has no frame.
    for length in [1, 60_000] {
        let frame = host.read_of(stream);
        assert_eq!((frame.kind, frame.payload.len() - 1), (FrameType::Data, length));
    }
    drop(server);
    host.send_data(stream, b"is there anybody");
    host.send_data(stream, b"out there");
    let frame = loop {
        let frame = host.read_of(stream);
        if frame.kind == FrameType::Close {
            break frame;
        }
        host.send_data(stream, b"again");
    };
    let result: Value = serde_json::from_slice(&frame.payload).expect("JSON");
    assert_eq!(result["error"]["code"], json!("failed_precondition"));
}

#[test]
fn a_small_window_holds_both_ways_and_an_impossible_one_is_refused() {
    let (_agent, mut host) = start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let stream = host.open(json!({"kind": "dial", "port": port, "window": 8192}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    let (mut server, _) = listener.accept().expect("a connection");
    server.write_all(&[7; 20_000]).expect("the kernel takes it");
    let mut heard = 0;
    while heard < 8192 {
        heard += host.read_of(stream).payload.len() - 1;
    }
    assert_eq!(heard, 8192);
    host.send_data(stream, &[1; 8192]);
    let mut bytes = [0; 8192];
    server.read_exact(&mut bytes).expect("all of it");
    let frame = host.read_of(stream);
    assert_eq!((frame.kind, &frame.payload[1..]), (FrameType::Credit, &8192u32.to_le_bytes()[..]));
    for request in [
        json!({"kind": "dial", "port": port, "window": 4095}),
        json!({"kind": "dial", "port": port, "window": 262_145}),
        json!({"kind": "datagrams", "unix": "/x"}),
        json!({"kind": "datagrams", "port": 0}),
    ] {
        assert_eq!(host.request(request)["error"]["code"], json!("invalid_argument"));
    }
}

#[test]
fn a_connection_that_the_host_gives_up_is_cut_off_and_does_not_look_finished() {
    let (_agent, mut host) = start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let stream = host.open(json!({"kind": "dial", "port": port}));
    assert_eq!(control(&mut host, stream), json!({"connected": {}}));
    let (mut server, _) = listener.accept().expect("a connection");
    host.send_data(stream, b"half of it");
    let mut bytes = [0; 10];
    server.read_exact(&mut bytes).expect("what was said");
    host.send(FrameType::Reset, stream, &[]);
    let error = server.read(&mut bytes).expect_err("no end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_unix_socket_is_its_owners_alone() {
    let (_agent, mut host) = start();
    let path = std::env::temp_dir().join(format!("banger-owner-{}", std::process::id()));
    let owner = if rustix::process::getuid().is_root() { 12345 } else { rustix::process::getuid().as_raw() };
    let request = json!({"kind": "listen", "unix": path.to_str(), "owner": owner.to_string()});
    let stream = host.open(request.clone());
    assert_eq!(host.read_of(stream).kind, FrameType::Control);
    let status = std::fs::metadata(&path).expect("the socket");
    assert_eq!((status.uid(), status.mode() & 0o777), (owner, 0o600));
    host.send(FrameType::Reset, stream, &[]);
    host.expect_silence();
    assert!(!path.exists());
    let unknown = host.request(json!({"kind": "listen", "unix": path.to_str(), "owner": "nobody-of-that-name"}));
    assert_eq!(unknown["error"]["code"], json!("not_found"), "{unknown}");
    assert!(!path.exists());
}

/// Directories that belong to a user other than the agent's, where there can be another.
fn owned_directory(name: &str, owner: u32) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("banger-{name}-{}", std::process::id()));
    std::fs::create_dir(&path).expect("a directory");
    std::os::unix::fs::chown(&path, Some(owner), Some(owner)).expect("given away");
    path
}

/// CAP_NET_ADMIN of capabilities(7).
fn may_administer_the_network() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("capabilities");
    u64::from_str_radix(line.trim(), 16).expect("a number") & 1 << 12 != 0
}

#[test]
fn the_name_of_a_unix_socket_is_removed_and_nothing_that_took_its_place() {
    if !rustix::process::getuid().is_root() || !may_administer_the_network() {
        return eprintln!("skipped: only root can be led to files of others");
    }
    let (_agent, mut host) = start();
    let (theirs, foreign) = (owned_directory("theirs", 12345), owned_directory("foreign", 54321));
    let path = theirs.join("x");
    let stream = host.open(json!({"kind": "listen", "unix": path, "owner": "12345"}));
    assert!(control(&mut host, stream)["listening"].is_object());
    assert_eq!(std::fs::metadata(&path).expect("the socket").uid(), 12345);
    // The owner of the directory leads its name elsewhere.
    std::fs::write(foreign.join("x"), "precious").expect("a file");
    std::fs::rename(&theirs, theirs.with_extension("moved")).expect("moved");
    std::os::unix::fs::symlink(&foreign, &theirs).expect("a link");
    host.send(FrameType::Reset, stream, &[]);
    host.expect_silence();
    assert_eq!(std::fs::read_to_string(foreign.join("x")).expect("it is there"), "precious");
    std::fs::remove_file(&theirs).expect("removed");
    for directory in [theirs.with_extension("moved"), foreign] {
        std::fs::remove_dir_all(directory).expect("removed");
    }
}

#[test]
fn a_path_that_was_given_up_can_be_listened_on_again_at_once() {
    let (_agent, mut host) = start();
    let path = std::env::temp_dir().join(format!("banger-again-{}", std::process::id()));
    for _ in 0..3 {
        let stream = host.open(json!({"kind": "listen", "unix": path}));
        host.send(FrameType::Reset, stream, &[]);
        assert!(control(&mut host, stream)["listening"].is_object());
    }
    host.expect_silence();
    assert!(!path.exists());
}

#[test]
fn a_listener_whose_connections_are_not_taken_does_not_keep_another_one_waiting_for_ever() {
    let (_agent, mut host) = start();
    let path = |name: &str| std::env::temp_dir().join(format!("banger-{name}-{}", std::process::id()));
    let (flooded, quiet) = (path("flooded"), path("quiet"));
    let [first, second] = [&flooded, &quiet].map(|path| {
        let stream = host.open(json!({"kind": "listen", "unix": path}));
        assert!(control(&mut host, stream)["listening"].is_object());
        stream
    });
    let _crowd: Vec<_> = (0..64)
        .map(|_| {
            let client = UnixStream::connect(&flooded).expect("it listens");
            assert!(control(&mut host, first)["accepted"].is_object());
            client
        })
        .collect();
    let _client = UnixStream::connect(&quiet).expect("it listens");
    host.expect_silence();
    host.send(FrameType::Reset, first, &[]);
    assert!(control(&mut host, second)["accepted"].is_object());
    host.send(FrameType::Reset, second, &[]);
    host.expect_silence();
}
