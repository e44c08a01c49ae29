//! Commands on a terminal.

mod support;

use banger_agent::wire::FrameType;
use serde_json::{Value, json};
use support::{Host, start};

fn tty() -> Value {
    json!({"tty": {"cols": 81, "rows": 25, "term": "vt100"}})
}

fn read_until(host: &mut Host, stream: u32, end: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(end) {
        let frame = host.read_of(stream);
        match frame.kind {
            FrameType::Data => seen += str::from_utf8(&frame.payload[1..]).expect("UTF-8"),
            FrameType::Control | FrameType::Credit => {}
            kind => panic!("{kind:?} after {seen:?}"),
        }
    }
    seen
}

#[test]
fn tty_has_a_size_a_type_and_is_the_controlling_terminal() {
    let (_agent, mut host) = start();
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM && echo hello > /dev/tty";
    let stream = host.exec("t", &["sh", "-c", script], tty());
    let answer = host.finish(stream);
    assert_eq!(answer.text(), "25 81\r\nvt100\r\nhello\r\n");
    assert_eq!(answer.result, json!({"ok": {"exitCode": 0}}));
    assert_eq!(answer.ends, [1, 2]);
}

#[test]
fn resize_changes_the_size_and_tells_the_command() {
    let (_agent, mut host) = start();
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do read line || :; done";
    let stream = host.exec("t", &["sh", "-c", script], tty());
    read_until(&mut host, stream, "ready\r\n");
    host.send_control(stream, json!({"resize": {"cols": 120, "rows": 40}}));
    assert_eq!(host.finish(stream).text(), "40 120\r\n");
}

#[test]
fn tty_input_is_typed_and_its_end_is_end_of_transmission() {
    let (_agent, mut host) = start();
    for (input, expected) in [("a\n", "a\r\na\r\n"), ("partial", "partial"), ("", "")] {
        let stream = host.exec(&format!("t{}", input.len()), &["sh", "-c", "stty -echoctl; echo go; cat"], tty());
        read_until(&mut host, stream, "go\r\n");
        if !input.is_empty() {
            host.send_data(stream, input.as_bytes());
        }
        host.send_end(stream);
        let answer = host.finish(stream);
        let text = answer.text().replace(['\u{4}', '\u{8}'], "");
        assert!(text.starts_with(expected), "{input:?}: {text:?}");
        assert_eq!(answer.result, json!({"ok": {"exitCode": 0}}), "{input:?}");
    }
}

#[test]
fn interrupt_character_and_signal_reach_the_foreground_group() {
    let (_agent, mut host) = start();
    // The shell makes the loop a foreground group of its own (job control), so only it gets the signal.
    for by_signal in [false, true] {
        let script = "set -m; sh -c 'trap \"exit 5\" INT; echo ready; while :; do sleep 0.01; done'; echo after $?";
        let stream = host.exec(&format!("t{by_signal}"), &["sh", "-c", script], tty());
        read_until(&mut host, stream, "ready\r\n");
        match by_signal {
            true => host.send_control(stream, json!({"signal": "INT"})),
            false => host.send_data(stream, b"\x03"),
        }
        let answer = host.finish(stream);
        assert!(answer.text().contains("after 5"), "{:?}", answer.text());
    }
}

#[test]
fn tty_output_is_whole_and_close_does_not_wait_for_background_processes() {
    let (_agent, mut host) = start();
    let script = "stty -opost; (trap '' HUP; exec sleep 1000) & head -c 300000 /dev/zero | tr '\\0' y; exit 4";
    for round in 0..5 {
        let stream = host.exec(&format!("t{round}"), &["sh", "-c", script], tty());
        let answer = host.finish(stream);
        assert_eq!((answer.stdout.len(), answer.result), (300_000, json!({"ok": {"exitCode": 4}})));
    }
}

#[test]
fn reset_kills_a_command_on_a_terminal() {
    let (_agent, mut host) = start();
    let stream = host.exec("t", &["sh", "-c", "trap '' HUP TERM; echo ready; while :; do sleep 1000; done"], tty());
    read_until(&mut host, stream, "ready\r\n");
    host.send(FrameType::Reset, stream, &[]);
    while host.request(json!({"kind": "ps"}))["ok"]["execs"] != json!([]) {}
}
