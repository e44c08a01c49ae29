//! `--serve-unix`: the mode that the host's own tests use.

mod support;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use banger_agent::wire::FrameType;
use serde_json::{Value, json};
use support::{Agent, Host, read_some};

/// Starts an agent on a socket in a directory of this test, and connects. The directory is watched, so nothing sleeps.
fn start_unix(name: &str) -> (Agent, PathBuf) {
    let path = std::env::temp_dir().join(format!("banger-{name}-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).expect("inotify");
    let created = rustix::fs::inotify::WatchFlags::CREATE;
    rustix::fs::inotify::add_watch(&inotify, path.parent().expect("a directory"), created).expect("a watch");
    let mut command = Command::new(env!("CARGO_BIN_EXE_banger-agent"));
    let child = command.arg("--serve-unix").arg(&path).spawn().expect("the agent");
    while UnixStream::connect(&path).is_err() {
        // Created, but perhaps not listening yet: then the next look succeeds without another event, so look twice.
        if !path.exists() {
            rustix::io::read(&inotify, &mut [0; 4096]).expect("an event");
        }
    }
    (Agent(child), path)
}

fn connect(path: &PathBuf) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the agent listens");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a timeout");
    stream
}

#[test]
fn serve_unix_takes_one_host_after_the_other_and_the_newest_wins() {
    let (_agent, path) = start_unix("newest");
    let mut first = Host::connect(connect(&path), false);
    first.configure();
    let stream = first.exec("d", &["sh", "-c", "echo kept; exec sleep 1000"], json!({"detach": true}));
    first.finish(stream);
    // The first host is still there when the second comes.
    let mut second = Host::connect(connect(&path), false);
    assert_eq!(second.facts["configured"], json!(true));
    assert_eq!(read_some(&mut first.into_stream(), &mut [0; 1]), 0);
    let stream = second.open(json!({"kind": "attach", "id": "d"}));
    assert_eq!(second.read_data(stream, 5), b"kept\n");
    drop(second);
    let mut third = Host::connect(connect(&path), true);
    assert_eq!(third.sh("echo third").text(), "third\n");
    let _ = std::fs::remove_file(path);
}

#[test]
fn poweroff_ends_commands_answers_and_then_ends_the_agent() {
    let (mut agent, path) = start_unix("poweroff");
    let mut host = Host::connect(connect(&path), false);
    host.configure();
    let polite = host.exec(
        "polite",
        &["sh", "-c", "exec 2>/dev/null; trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"],
        json!({}),
    );
    assert_eq!(host.read_data(polite, 3), b"up\n");
    let deaf = host.exec("deaf", &["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done"], json!({}));
    assert_eq!(host.read_data(deaf, 3), b"up\n");
    let stream = host.open(json!({"kind": "poweroff", "graceMs": 200}));
    let refused = host.open(json!({"kind": "stats"}));
    let (mut closed, mut said) = (Vec::new(), Vec::<u8>::new());
    while closed.last() != Some(&stream) {
        let frame = host.read();
        match frame.kind {
            FrameType::Data if frame.stream == polite => said.extend(&frame.payload[1..]),
            FrameType::Close => {
                let result: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                let refusal = result["error"]["code"] == json!("failed_precondition");
                assert_eq!((result == json!({"ok": {}}), refusal), (frame.stream == stream, frame.stream == refused));
                closed.push(frame.stream);
            }
            _ => {}
        }
    }
    assert_eq!(said, b"bye\n");
    assert!([polite, refused].iter().all(|stream| closed.contains(stream)));
    assert!(agent.0.wait().expect("it ends").success());
    let _ = std::fs::remove_file(path);
}

#[test]
fn wrong_usage_is_an_error() {
    for args in [&[][..], &["--serve-fd", "1"], &["--serve-fd", "x"], &["--serve-fd", "99"], &["--serve"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banger-agent"));
        let output = command.args(args).stdin(Stdio::null()).output().expect("the agent");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("banger-agent: "), "{args:?}");
    }
}
