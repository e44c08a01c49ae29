//! The connection itself: SYNC at any moment, violations, limits, liveness.

mod support;

use banger_agent::wire::{FrameType, HELLO_TAG, MAX_STREAMS, WINDOW, append_frame};
use serde_json::json;
use support::{Host, start, start_raw};

#[test]
fn ack_gives_facts() {
    let (_agent, stream) = start_raw();
    let mut host = Host::connect(stream, false);
    assert_eq!(host.facts["agent"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(host.facts["configured"], json!(false));
    for fact in ["bootId", "kernel"] {
        assert!(host.facts[fact].as_str().is_some_and(|text| !text.is_empty()), "{fact}");
    }
    assert!(host.facts["uptimeMs"].as_u64().is_some_and(|ms| ms > 0));
    host.configure();
    assert_eq!(Host::connect(host.into_stream(), true).facts["configured"], json!(true));
}

#[test]
fn before_configure_only_stats_and_poweroff_are_served() {
    let (_agent, stream) = start_raw();
    let mut host = Host::connect(stream, false);
    let exec = json!({"kind": "exec", "id": "e", "argv": ["true"]});
    for request in [exec, json!({"kind": "ps"}), json!({"kind": "grow"}), json!({"kind": "freeze"})] {
        assert_eq!(host.request(request)["error"]["code"], json!("failed_precondition"));
    }
    assert!(host.request(json!({"kind": "stats"}))["ok"]["memoryTotalBytes"].as_u64().is_some_and(|n| n > 0));
}

#[test]
fn sync_works_after_a_frame_was_cut_off_anywhere() {
    let mut frame = Vec::new();
    append_frame(&mut frame, 0x0101_0101, (FrameType::Data, 1), &[0], &[b'x'; 500]);
    for cut in [1, 3, 4, 7, 8, 9, 300, frame.len() - 1] {
        let (_agent, mut host) = start();
        host.send_bytes(&frame[..cut]);
        let mut host = Host::connect(host.into_stream(), true);
        assert_eq!(host.sh("echo alive").text(), "alive\n", "cut after {cut}");
    }
}

#[test]
fn garbage_drops_the_connection_and_only_a_sync_begins_a_new_one() {
    let (_agent, mut host) = start();
    let victim = host.exec("victim", &["sleep", "1000"], json!({}));
    host.read_of(victim);
    host.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    // A SYNC with a wrong tag is garbage, too.
    let mut false_sync = Vec::new();
    append_frame(&mut false_sync, HELLO_TAG ^ 1, (FrameType::Sync, 0), &[7; 16], &[1, 0]);
    host.send_bytes(&false_sync);
    host.send(FrameType::Ping, 0, b"too late");
    let mut host = Host::connect(host.into_stream(), true);
    while host.request(json!({"kind": "ps"}))["ok"]["execs"] != json!([]) {}
}

#[test]
fn frames_that_break_a_rule_drop_the_connection() {
    type Break = fn(&mut Host, u32);
    let cases: [(&str, Break); 13] = [
        ("ACK", |host, _| host.send(FrameType::Ack, 0, &[0; 18])),
        ("even OPEN", |host, _| host.send(FrameType::Open, 1000, b"{}")),
        ("OPEN used again", |host, stream| host.send(FrameType::Open, stream, b"{}")),
        ("DATA on 1", |host, stream| host.send(FrameType::Data, stream, b"\x01x")),
        ("DATA without bytes", |host, stream| host.send(FrameType::Data, stream, b"\x00")),
        ("CREDIT for 0", |host, stream| host.grant(stream, 0, 1)),
        ("CREDIT too short", |host, stream| host.send(FrameType::Credit, stream, b"\x01\x00")),
        ("CREDIT above 2^31", |host, stream| host.grant(stream, 1, 1 << 31)),
        ("END on 1", |host, stream| host.send(FrameType::End, stream, &[1])),
        ("END twice", |host, stream| [stream; 2].into_iter().for_each(|stream| host.send_end(stream))),
        ("RESET with payload", |host, stream| host.send(FrameType::Reset, stream, &[0])),
        ("PING of 7", |host, _| host.send(FrameType::Ping, 0, b"1234567")),
        ("DATA beyond the credit", |host, stream| {
            host.send_data(stream, &vec![0; WINDOW as usize - 1]);
            host.send_data(stream, &[0; 2]);
        }),
    ];
    for (name, break_rule) in cases {
        let (_agent, mut host) = start();
        // A command that neither reads nor ends; it is killed when the connection is dropped.
        let stream = host.exec("victim", &["sleep", "1000"], json!({}));
        host.read_of(stream);
        break_rule(&mut host, stream);
        host.send(FrameType::Ping, 0, b"no reply");
        let mut host = Host::connect(host.into_stream(), true);
        while host.request(json!({"kind": "ps"}))["ok"]["execs"] != json!([]) {}
        assert_eq!(host.sh("echo alive").text(), "alive\n", "{name}");
    }
}

#[test]
fn frames_for_streams_that_have_ended_are_ignored() {
    let (_agent, mut host) = start();
    let stream = host.exec("e", &["true"], json!({}));
    host.finish(stream);
    host.send_data(stream, b"late");
    host.send_end(stream);
    host.send_end(stream);
    host.grant(stream, 1, 5);
    host.send_control(stream, json!({"signal": "KILL"}));
    host.send(FrameType::Reset, stream, &[]);
    host.expect_silence();
}

#[test]
fn a_new_sync_kills_attached_commands_and_keeps_detached_ones() {
    let (_agent, mut host) = start();
    let stream = host.exec("attached", &["sleep", "1000"], json!({}));
    host.read_of(stream);
    let stream = host.exec("detached", &["sh", "-c", "echo kept; exec sleep 1000"], json!({"detach": true}));
    host.finish(stream);
    let attachment = host.open(json!({"kind": "attach", "id": "detached"}));
    host.read_data(attachment, 5);
    let mut host = Host::connect(host.into_stream(), true);
    loop {
        let execs = host.request(json!({"kind": "ps"}))["ok"]["execs"].clone();
        let ids: Vec<_> = execs.as_array().expect("a list").iter().map(|exec| exec["id"].clone()).collect();
        assert!(ids.contains(&json!("detached")));
        if ids.len() == 1 {
            break;
        }
    }
    let attachment = host.open(json!({"kind": "attach", "id": "detached"}));
    assert_eq!(host.read_data(attachment, 5), b"kept\n");
}

#[test]
fn sync_in_the_midst_of_output_that_nobody_reads_gets_its_ack() {
    let (_agent, mut host) = start();
    let stream = host.exec("flood", &["cat", "/dev/zero"], json!({}));
    host.grant(stream, 1, 1 << 30);
    host.read_data(stream, 1_000_000);
    let mut host = Host::connect(host.into_stream(), true);
    assert_eq!(host.sh("echo alive").text(), "alive\n");
}

#[test]
fn one_stream_too_many_is_refused_and_room_comes_back() {
    let (_agent, mut host) = start();
    // Each is a socket of the agent, which makes room for them.
    let streams: Vec<_> = (0..MAX_STREAMS).map(|_| host.open(json!({"kind": "datagrams", "port": 9}))).collect();
    for stream in &streams {
        assert_eq!(host.read_of(*stream).kind, FrameType::Control);
    }
    assert_eq!(host.request(json!({"kind": "stats"}))["error"]["code"], json!("resource_exhausted"));
    assert_eq!(host.request(json!({"kind": "ps"}))["error"]["code"], json!("resource_exhausted"));
    for stream in streams {
        host.send_end(stream);
        assert_eq!(host.finish(stream).result, json!({"ok": {"sent": 0, "received": 0}}));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.expect("a limit");
    assert_eq!(host.sh("ulimit -n").text(), format!("{limit}\n"), "commands have the limit that they always had");
    assert!(host.request(json!({"kind": "stats"}))["ok"].is_object());
}

#[test]
fn ping_is_answered_while_output_floods() {
    let (_agent, mut host) = start();
    let stream = host.exec("flood", &["cat", "/dev/zero"], json!({}));
    host.grant(stream, 1, 1 << 30);
    for round in 0u64..20 {
        host.read_data(stream, 500_000);
        host.send(FrameType::Ping, 0, &round.to_le_bytes());
        let pong = host.read_of(0);
        assert_eq!((pong.kind, &pong.payload[..]), (FrameType::Pong, &round.to_le_bytes()[..]));
    }
}

#[test]
fn many_requests_whose_answers_nobody_reads_do_not_pile_up() {
    let (agent, mut host) = start();
    let argument = "x".repeat(100_000);
    let stream = host.exec("big", &["sh", "-c", "exec sleep 1000", &argument], json!({}));
    host.read_of(stream);
    // Each of the 2,000 answers is over 100 kB. The agent stops reading long before that, so this write would block for ever;
    // a writer of its own tries until the test closes the socket.
    let mut requests = Vec::new();
    let (mut connection, tag, first) = host.into_parts();
    for index in 0..2_000 {
        append_frame(&mut requests, tag, (FrameType::Open, first + 2 * index), br#"{"kind":"ps"}"#, &[]);
    }
    let mut writer = connection.try_clone().expect("a copy");
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &requests));
    // Three answers are read, so the agent is in the midst of it.
    std::io::Read::read_exact(&mut connection, &mut vec![0; 300_000]).expect("answers");
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.0.id())).expect("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 16_384, "{kib} KiB");
    drop(agent);
    // It ends either way: everything was taken by the kernel, or the agent is gone.
    let _ = writing.join().expect("the writer");
}
