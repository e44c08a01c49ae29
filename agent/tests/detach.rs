//! Commands that belong to no stream: `detach`, `attach`, `ps`, `signal`.

mod support;

use banger_agent::wire::{FrameType, WINDOW};
use serde_json::{Value, json};
use support::{Host, start};

const KEPT: usize = 1024 * 1024;

fn detach(host: &mut Host, id: &str, script: &str) {
    let stream = host.exec(id, &["sh", "-c", script], json!({"detach": true}));
    let answer = host.finish(stream);
    assert!(answer.result["ok"]["pid"].as_u64().is_some_and(|pid| pid > 1), "{}", answer.result);
    assert!(answer.ends.is_empty());
}

fn attach(host: &mut Host, id: &str) -> u32 {
    host.open(json!({"kind": "attach", "id": id}))
}

fn listed(host: &mut Host, id: &str) -> Option<Value> {
    let answer = host.request(json!({"kind": "ps"}));
    let execs = answer["ok"]["execs"].as_array().expect("a list").clone();
    execs.into_iter().find(|exec| exec["id"] == json!(id))
}

fn wait_for_end(host: &mut Host, id: &str) -> Value {
    loop {
        let exec = listed(host, id).expect("remembered");
        if exec["running"] == json!(false) {
            return exec;
        }
    }
}

#[test]
fn detached_command_is_remembered_until_it_was_attached_to_its_end() {
    let (_agent, mut host) = start();
    detach(&mut host, "d", "cat; echo out; echo err >&2; exit 7");
    let exec = wait_for_end(&mut host, "d");
    assert_eq!((&exec["exitCode"], &exec["argv"][0]), (&json!(7), &json!("sh")));
    let stream = attach(&mut host, "d");
    let answer = host.finish(stream);
    assert_eq!((answer.text(), &answer.stderr[..]), ("out\n", &b"err\n"[..]));
    assert_eq!((answer.ends, answer.result), (vec![1, 2], json!({"ok": {"exitCode": 7}})));
    let stream = attach(&mut host, "d");
    assert_eq!(host.finish(stream).error_code(), "not_found");
}

#[test]
fn attach_gives_kept_output_first_then_live_and_reset_detaches() {
    let (_agent, mut host) = start();
    detach(&mut host, "d", "trap 'echo two; exit 0' USR1; echo one; while :; do sleep 0.01; done");
    for _ in 0..2 {
        let stream = attach(&mut host, "d");
        assert_eq!(host.read_data(stream, 4), b"one\n");
        host.send(FrameType::Reset, stream, &[]);
    }
    let stream = attach(&mut host, "d");
    assert_eq!(host.read_data(stream, 4), b"one\n");
    assert_eq!(host.request(json!({"kind": "signal", "id": "d", "signal": "USR1"})), json!({"ok": {}}));
    let answer = host.finish(stream);
    assert_eq!((answer.text(), &answer.result), ("two\n", &json!({"ok": {"exitCode": 0}})));
}

#[test]
fn a_command_on_a_terminal_lets_go_of_its_stream_and_is_attached_to_with_its_input() {
    let (_agent, mut host) = start();
    let tty = json!({"tty": {"cols": 80, "rows": 24, "term": "dumb"}});
    let stream = host.exec("t", &["sh", "-c", "stty -echo; echo one; read x; echo got $x; exit 4"], tty);
    assert_eq!(host.read_data(stream, 5), b"one\r\n");
    let entry = listed(&mut host, "t").expect("it runs");
    assert_eq!((&entry["tty"], &entry["detached"]), (&json!(true), &json!(false)));
    host.send(FrameType::Control, stream, br#"{"detach":{}}"#);
    assert_eq!(host.finish(stream).result, json!({"ok": {"detached": "t"}}));
    let entry = listed(&mut host, "t").expect("it runs");
    assert_eq!((&entry["running"], &entry["detached"]), (&json!(true), &json!(true)));
    let stream = attach(&mut host, "t");
    host.send(FrameType::Control, stream, br#"{"resize":{"cols":100,"rows":40}}"#);
    host.send_data(stream, b"it\r");
    let answer = host.finish(stream);
    assert_eq!((answer.text(), &answer.result), ("got it\r\n", &json!({"ok": {"exitCode": 4}})));
}

#[test]
fn a_later_attachment_takes_over() {
    let (_agent, mut host) = start();
    detach(&mut host, "d", "echo one; exec sleep 1000");
    let first = attach(&mut host, "d");
    host.read_data(first, 4);
    let second = attach(&mut host, "d");
    assert_eq!(host.finish(first).error_code(), "failed_precondition");
    assert_eq!(host.read_data(second, 4), b"one\n");
    host.request(json!({"kind": "signal", "id": "d", "signal": "KILL"}));
    assert_eq!(host.finish(second).result, json!({"ok": {"signal": "KILL"}}));
}

#[test]
fn detached_output_never_blocks_and_the_last_mebibyte_is_kept() {
    let (_agent, mut host) = start();
    detach(&mut host, "d", "head -c 5000000 /dev/zero; head -c 1000000 /dev/zero | tr '\\0' x");
    wait_for_end(&mut host, "d");
    let stream = attach(&mut host, "d");
    let kept = host.finish(stream).stdout;
    assert_eq!(kept.len(), KEPT);
    let zeros = kept.iter().take_while(|byte| **byte == 0).count();
    assert_eq!(zeros, KEPT - 1_000_000);
    assert!(kept[zeros..].iter().all(|&byte| byte == b'x'));
}

#[test]
fn an_attached_reader_misses_nothing_however_slow() {
    let (_agent, mut host) = start();
    let total = 4_000_000;
    let script = format!(
        "exec 2>/dev/null; trap go=1 USR1; echo ready; while test -z \"$go\"; do sleep 0.01; done; head -c {total} /dev/zero"
    );
    detach(&mut host, "d", &script);
    let stream = attach(&mut host, "d");
    assert_eq!(host.read_data(stream, 6), b"ready\n");
    host.request(json!({"kind": "signal", "id": "d", "signal": "USR1"}));
    // One window comes; then the ring fills, and the command waits.
    let first = host.read_data(stream, WINDOW as usize - 6).len();
    assert!(listed(&mut host, "d").is_some_and(|exec| exec["running"] == json!(true)));
    host.grant(stream, 1, WINDOW);
    let answer = host.finish(stream);
    assert_eq!(first + answer.stdout.len(), total);
}

#[test]
fn requests_about_unknown_or_wrong_commands_are_refused() {
    let (_agent, mut host) = start();
    let stream = host.exec("live", &["cat"], json!({}));
    detach(&mut host, "over", "true");
    wait_for_end(&mut host, "over");
    let cases = [
        (json!({"kind": "attach", "id": "none"}), "not_found"),
        (json!({"kind": "attach", "id": "live"}), "failed_precondition"),
        (json!({"kind": "signal", "id": "none", "signal": "TERM"}), "not_found"),
        (json!({"kind": "signal", "id": "live", "signal": "SIGTERM"}), "invalid_argument"),
        (json!({"kind": "signal", "id": "over", "signal": "TERM"}), "failed_precondition"),
        (json!({"kind": "exec", "id": "over", "argv": ["true"]}), "failed_precondition"),
        (json!({"kind": "teleport"}), "unsupported"),
        (json!({"kind": "configure", "hostname": "t", "rootfs": {"disk": "r", "type": "x"}}), "failed_precondition"),
    ];
    for (request, code) in cases {
        assert_eq!(host.request(request.clone())["error"]["code"], json!(code), "{request}");
    }
    host.send_end(stream);
    host.finish(stream);
}

#[test]
fn sixty_four_ended_commands_are_remembered() {
    let (_agent, mut host) = start();
    for index in 0..66 {
        detach(&mut host, &format!("d{index}"), "exit 0");
        wait_for_end(&mut host, &format!("d{index}"));
    }
    assert!(listed(&mut host, "d1").is_none());
    assert!(listed(&mut host, "d2").is_some());
}

#[test]
fn a_detached_terminal_takes_input_from_its_attachment() {
    let (_agent, mut host) = start();
    let more = json!({"detach": true, "tty": {"cols": 80, "rows": 24}});
    let stream = host.exec("d", &["sh", "-c", "stty -echo; echo ready; read line; echo got $line"], more);
    host.finish(stream);
    let stream = attach(&mut host, "d");
    assert_eq!(host.read_data(stream, 7), b"ready\r\n");
    host.send_data(stream, b"it\n");
    assert_eq!(host.finish(stream).text(), "got it\r\n");
}
