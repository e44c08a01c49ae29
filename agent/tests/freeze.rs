//! `freeze`, `thaw`, `resumed`: what the agent does around a snapshot. The rehearsal freezes nothing of the host.

mod support;

use banger_agent::wire::FrameType;
use serde_json::json;

use support::{Host, start, start_configured};

/// Whether a `write` is refused for the freeze. It gives up the stream at once otherwise.
fn is_frozen(host: &mut Host) -> bool {
    let path = std::env::temp_dir().join(format!("banger-freeze-{}", std::process::id()));
    let stream = host.open(json!({"kind": "write", "path": path, "mode": 384}));
    host.send_end(stream);
    let answer = host.finish(stream).result;
    let _ = std::fs::remove_file(path);
    answer["error"]["code"] == json!("failed_precondition")
}

#[test]
fn a_freeze_ends_by_itself_and_the_thaw_after_it_says_so_once() {
    let (_agent, mut host) = start();
    // Long enough for a busy machine to ask whether it holds.
    assert_eq!(host.request(json!({"kind": "freeze", "timeoutMs": 3_000})), json!({"ok": {}}));
    assert!(is_frozen(&mut host));
    while is_frozen(&mut host) {}
    let thaw = host.request(json!({"kind": "thaw"}));
    assert_eq!(thaw["error"]["code"], json!("failed_precondition"));
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
}

#[test]
fn a_freeze_ends_by_itself_when_the_host_is_gone() {
    let (_agent, mut host) = start();
    host.request(json!({"kind": "freeze", "timeoutMs": 1}));
    let mut host = Host::connect(host.into_stream(), true);
    while is_frozen(&mut host) {}
}

#[test]
fn a_second_freeze_takes_the_place_of_the_first() {
    let (_agent, mut host) = start();
    host.request(json!({"kind": "freeze", "timeoutMs": 1}));
    while is_frozen(&mut host) {}
    host.request(json!({"kind": "freeze", "timeoutMs": 60_000}));
    assert!(is_frozen(&mut host));
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
}

#[test]
fn resumed_thaws_and_says_what_time_it_is() {
    let (_agent, mut host) = start();
    host.request(json!({"kind": "freeze"}));
    let answer = host.request(json!({"kind": "resumed", "hostname": "other"}));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_millis();
    let theirs = u128::from(answer["ok"]["unixTimeMs"].as_u64().expect("a time"));
    assert!(theirs <= now && now - theirs < 10_000);
    assert!(!is_frozen(&mut host));
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
}

#[test]
fn a_rehearsal_of_a_resumed_guest_needs_no_configure() {
    let (_agent, mut host) = start_configured();
    assert_eq!(host.facts["configured"], json!(true));
    assert!(host.request(json!({"kind": "resumed", "hostname": "other"}))["ok"].is_object());
    assert_eq!(host.sh("echo alive").text(), "alive\n");
}

#[test]
fn a_freeze_of_commands_alone_refuses_exec_and_lets_files_be_written() {
    let (_agent, mut host) = start();
    let freeze = json!({"kind": "freeze", "fileSystems": false, "commands": true});
    assert_eq!(host.request(freeze), json!({"ok": {}}));
    assert!(!is_frozen(&mut host));
    let exec = host.request(json!({"kind": "exec", "id": "e", "argv": ["true"]}));
    assert_eq!(exec["error"]["code"], json!("failed_precondition"));
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
    assert_eq!(host.sh("echo alive").text(), "alive\n");
}

#[test]
fn what_would_wait_for_a_frozen_file_system_is_refused_or_done_after_the_thaw() {
    let (_agent, mut host) = start();
    let path = |name: &str| std::env::temp_dir().join(format!("banger-frozen-{name}-{}", std::process::id()));
    let (old, new) = (path("old"), path("new"));
    let listener = host.open(json!({"kind": "listen", "unix": old}));
    assert_eq!(host.read_of(listener).kind, FrameType::Control);
    assert_eq!(host.request(json!({"kind": "freeze", "timeoutMs": 60_000})), json!({"ok": {}}));
    for request in [json!({"kind": "listen", "unix": new}), json!({"kind": "grow"})] {
        assert_eq!(host.request(request)["error"]["code"], json!("failed_precondition"));
    }
    host.send(FrameType::Reset, listener, &[]);
    host.expect_silence();
    assert!(old.exists() && !new.exists());
    assert!(std::os::unix::net::UnixStream::connect(&old).is_err());
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
    host.expect_silence();
    assert!(!old.exists());
    assert_eq!(host.request(json!({"kind": "grow"})), json!({"ok": {"diskTotalBytes": 0}}));
}

#[test]
fn a_new_host_of_a_frozen_guest_ends_listeners_and_their_names_go_with_the_thaw() {
    let (_agent, mut host) = start();
    let path = std::env::temp_dir().join(format!("banger-frozen-sync-{}", std::process::id()));
    let listener = host.open(json!({"kind": "listen", "unix": path}));
    assert_eq!(host.read_of(listener).kind, FrameType::Control);
    assert_eq!(host.request(json!({"kind": "freeze", "timeoutMs": 60_000})), json!({"ok": {}}));
    let mut host = Host::connect(host.into_stream(), true);
    host.expect_silence();
    assert!(path.exists());
    assert!(host.request(json!({"kind": "resumed"}))["ok"].is_object());
    host.expect_silence();
    assert!(!path.exists());
}
