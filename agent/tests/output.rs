//! Output and its credit: a reader that stops reading stops its own channel only.

mod support;

use banger_agent::wire::{FrameType, WINDOW};
use serde_json::json;
use support::start;

const MANY: usize = 20 * 1024 * 1024;

#[test]
fn output_of_many_windows_arrives_whole() {
    let (_agent, mut host) = start();
    let answer = host.sh(&format!("head -c {MANY} /dev/zero; head -c {MANY} /dev/zero | tr '\\0' x >&2"));
    assert!(answer.stdout.len() == MANY && answer.stdout.iter().all(|&byte| byte == 0));
    assert!(answer.stderr.len() == MANY && answer.stderr.iter().all(|&byte| byte == b'x'));
    assert_eq!(answer.result, json!({"ok": {"exitCode": 0}}));
}

#[test]
fn a_reader_that_grants_nothing_gets_one_window_and_stops_nobody_else() {
    let (_agent, mut host) = start();
    let slow = host.exec("slow", &["sh", "-c", &format!("head -c {MANY} /dev/zero; echo err >&2")], json!({}));
    let first = host.read_data(slow, WINDOW as usize);
    assert_eq!(first.len(), WINDOW as usize);
    // Others go on, with much more output than would fit any queue.
    for _ in 0..3 {
        let quick = host.exec(&format!("quick-{}", host.next_id()), &["head", "-c", "3000000", "/dev/zero"], json!({}));
        assert_eq!(host.finish_while_silent(quick, slow).stdout.len(), 3_000_000);
    }
    // The command blocks in its write: it runs still.
    let execs = host.request(json!({"kind": "ps"}));
    assert_eq!(execs["ok"]["execs"][0]["running"], json!(true));
    host.grant(slow, 1, WINDOW);
    assert_eq!(host.read_data(slow, WINDOW as usize).len(), WINDOW as usize);
    host.grant(slow, 1, MANY as u32);
    let rest = host.finish(slow);
    assert_eq!(rest.stdout.len(), MANY - 2 * WINDOW as usize);
    assert_eq!((&rest.stderr[..], &rest.result), (&b"err\n"[..], &json!({"ok": {"exitCode": 0}})));
}

#[test]
fn stderr_flows_while_stdout_waits_for_credit() {
    let (_agent, mut host) = start();
    let script = format!("head -c {MANY} /dev/zero & head -c 100000 /dev/zero >&2; echo done >&2; wait");
    let stream = host.exec("both", &["sh", "-c", &script], json!({}));
    let (mut stdout, mut stderr) = (0, Vec::new());
    while stdout < WINDOW as usize || !stderr.ends_with(b"done\n") {
        let frame = host.read_of(stream);
        match (frame.kind, frame.payload.first()) {
            (FrameType::Data, Some(1)) => stdout += frame.payload.len() - 1,
            (FrameType::Data, _) => stderr.extend(&frame.payload[1..]),
            _ => assert_eq!(frame.kind, FrameType::Control),
        }
    }
    assert_eq!(stdout, WINDOW as usize);
    host.send(FrameType::Reset, stream, &[]);
}

#[test]
fn the_end_of_a_command_waits_for_credit_for_its_last_bytes() {
    let (_agent, mut host) = start();
    let count = WINDOW as usize + 1000;
    let stream = host.exec("tail", &["head", "-c", &count.to_string(), "/dev/zero"], json!({}));
    host.read_data(stream, WINDOW as usize);
    // The process has written all, as the rest fits the pipe, and ends. `ps` knows when.
    loop {
        let execs = host.request(json!({"kind": "ps"}));
        if execs["ok"]["execs"][0]["running"] == json!(false) {
            break;
        }
    }
    host.grant(stream, 1, 999);
    assert_eq!(host.read_data(stream, 999).len(), 999);
    host.grant(stream, 1, 1);
    let answer = host.finish(stream);
    assert_eq!((answer.stdout.len(), answer.result), (1, json!({"ok": {"exitCode": 0}})));
}
