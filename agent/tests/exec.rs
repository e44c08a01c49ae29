//! Commands on the host through the real agent: results, input, output, users, directories, signals.

mod support;

use banger_agent::wire::{FrameType, WINDOW};
use serde_json::json;
use support::start;

#[test]
fn exec_reports_exit_codes_and_signals() {
    let (_agent, mut host) = start();
    for code in [0, 1, 42, 255] {
        assert_eq!(host.sh(&format!("exit {code}")).result, json!({"ok": {"exitCode": code}}));
    }
    for signal in ["TERM", "KILL", "SEGV", "USR1"] {
        assert_eq!(host.sh(&format!("kill -{signal} $$")).result, json!({"ok": {"signal": signal}}));
    }
}

#[test]
fn exec_keeps_stdout_and_stderr_apart_and_ends_both_before_close() {
    let (_agent, mut host) = start();
    let answer = host.sh("echo out; echo err >&2");
    assert_eq!((answer.text(), &answer.stderr[..]), ("out\n", &b"err\n"[..]));
    let mut ends = answer.ends.clone();
    ends.sort_unstable();
    assert_eq!(ends, [1, 2]);
    assert!(answer.control[0]["started"]["pid"].as_u64().is_some_and(|pid| pid > 1));
}

#[test]
fn exec_says_why_a_command_cannot_be_run() {
    let (_agent, mut host) = start();
    let dir = std::env::temp_dir().join(format!("banger-agent-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = |name: &str, mode: u32, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        path.to_str().expect("UTF-8").to_string()
    };
    let cases = [
        ("no-such-command".to_string(), "command_not_found"),
        ("/no/such/command".to_string(), "command_not_found"),
        (String::new(), "command_not_found"),
        ("/etc".to_string(), "command_not_executable"),
        (file("plain", 0o644, "text"), "command_not_executable"),
        (file("no-format", 0o755, "text"), "command_not_executable"),
        (file("no-interpreter", 0o755, "#!/no/such/interpreter\n"), "command_not_executable"),
    ];
    for (index, (command, code)) in cases.iter().enumerate() {
        let stream = host.exec(&format!("e{index}"), &[command], json!({}));
        assert_eq!(host.finish(stream).error_code(), *code, "{command}");
    }
    std::fs::remove_dir_all(&dir).expect("the directory");
    // Each failed child was reaped: a shell sees no zombie of the agent.
    let zombies = host.sh("ps -o stat= --ppid $PPID 2>/dev/null | grep -c Z");
    assert_eq!(zombies.text(), "0\n");
}

#[test]
fn exec_checks_working_directory_user_and_id() {
    let (_agent, mut host) = start();
    let cases = [
        (json!({"cwd": "/no/such/dir"}), "not_found"),
        (json!({"cwd": "/etc/passwd"}), "invalid_argument"),
        (json!({"cwd": "relative"}), "invalid_argument"),
        (json!({"enter": "relative"}), "invalid_argument"),
        (json!({"user": "no-such-user"}), "not_found"),
        (json!({"user": "root:no-such-group"}), "not_found"),
        (json!({"user": ""}), "invalid_argument"),
    ];
    for (more, code) in cases {
        let stream = host.exec("bad", &["/bin/true"], more.clone());
        assert_eq!(host.finish(stream).error_code(), code, "{more}");
    }
    let first = host.exec("same", &["cat"], json!({}));
    let second = host.exec("same", &["cat"], json!({}));
    assert_eq!(host.finish(second).error_code(), "failed_precondition");
    host.send_end(first);
    assert_eq!(host.finish(first).result, json!({"ok": {"exitCode": 0}}));
}

#[test]
fn exec_builds_the_environment_and_goes_to_the_directory() {
    let (_agent, mut host) = start();
    let script = "echo $CONFIGURED:$OWN:$PATH; pwd; ps -o pgid=,sid= -p $$ | tr -s ' '; echo $$";
    let more = json!({"env": {"OWN": "mine", "PATH": "/bin:/usr/bin"}, "cwd": "/usr"});
    let stream = host.exec("env", &["sh", "-c", script], more);
    let answer = host.finish(stream);
    let lines: Vec<_> = answer.text().lines().collect();
    assert_eq!(lines[..2], ["yes:mine:/bin:/usr/bin", "/usr"]);
    // Its own session and process group.
    assert_eq!(lines[2].trim(), format!("{0} {0}", lines[3]));
}

#[test]
fn exec_runs_as_another_user() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let (_agent, mut host) = start();
    let more = json!({"user": "12345:54321", "cwd": "/"});
    let stream = host.exec("user", &["sh", "-c", "id -u; id -g; id -G; echo $HOME"], more);
    assert_eq!(host.finish(stream).text(), "12345\n54321\n54321\n/\n");
    let stream = host.exec("name", &["sh", "-c", "id -un; echo $USER $LOGNAME"], json!({"user": "nobody", "cwd": "/"}));
    assert_eq!(host.finish(stream).text(), "nobody\nnobody nobody\n");
}

#[test]
fn exec_enters_a_directory_that_is_there_and_open_to_the_user() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let (_agent, mut host) = start();
    let dir = std::env::temp_dir().join(format!("banger-enter-{}", std::process::id()));
    std::fs::create_dir(&dir).expect("a directory");
    let path = std::fs::canonicalize(&dir).expect("a path").to_str().expect("UTF-8").to_string();
    let mut begin = |mode: u32, more: serde_json::Value| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).expect("a mode");
        let stream = host.exec("where", &["pwd"], more);
        host.finish(stream).text().trim_end().to_string()
    };
    let nobody = json!({"user": "nobody", "cwd": "/etc", "enter": path});
    assert_eq!(begin(0o755, nobody.clone()), path);
    assert_eq!(begin(0o700, nobody), "/etc");
    assert_eq!(begin(0o700, json!({"cwd": "/etc", "enter": path})), path);
    assert_eq!(begin(0o700, json!({"cwd": "/etc", "enter": "/no/such/dir"})), "/etc");
    std::fs::remove_dir(&dir).expect("the directory");
}

#[test]
fn exec_passes_input_of_many_windows_and_its_end() {
    let (_agent, mut host) = start();
    let stream = host.exec("wc", &["sh", "-c", "sleep 0; md5sum; cat"], json!({}));
    let block: Vec<u8> = (0..50_000u32).map(|i| (i * 7 % 253) as u8).collect();
    let (mut credit, total) = (WINDOW as usize, 16 * 1024 * 1024 / block.len());
    for _ in 0..total {
        while credit < block.len() {
            let frame = host.read_of(stream);
            if frame.kind == FrameType::Credit {
                assert_eq!(frame.payload[0], 0);
                credit += u32::from_le_bytes(frame.payload[1..].try_into().expect("4 bytes")) as usize;
            }
        }
        host.send_data(stream, &block);
        credit -= block.len();
    }
    host.send_end(stream);
    let mut expected = std::process::Command::new("md5sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("md5sum");
    let mut stdin = expected.stdin.take().expect("a pipe");
    for _ in 0..total {
        std::io::Write::write_all(&mut stdin, &block).expect("md5sum reads");
    }
    drop(stdin);
    let expected = expected.wait_with_output().expect("md5sum ends").stdout;
    assert_eq!(host.finish(stream).stdout, expected);
}

#[test]
fn exec_discards_input_that_nobody_reads_and_returns_its_credit() {
    let (_agent, mut host) = start();
    let stream = host.exec("closed", &["sh", "-c", "exec <&-; echo closed; exec sleep 1000"], json!({}));
    assert_eq!(host.read_data(stream, 7), b"closed\n");
    let mut credit = WINDOW;
    for _ in 0..24 {
        while credit < 32_768 {
            let frame = host.read_of(stream);
            assert_eq!((frame.kind, frame.payload[0]), (FrameType::Credit, 0));
            credit += u32::from_le_bytes(frame.payload[1..].try_into().expect("4 bytes"));
        }
        host.send_data(stream, &[0; 32_768]);
        credit -= 32_768;
    }
    host.send_end(stream);
    host.send_control(stream, json!({"signal": "TERM"}));
    assert_eq!(host.finish(stream).result, json!({"ok": {"signal": "TERM"}}));
}

#[test]
fn timeout_kills_and_says_so() {
    let (_agent, mut host) = start();
    let stream = host.exec("slow", &["sh", "-c", "echo begun; exec sleep 1000"], json!({"timeoutMs": 50}));
    let answer = host.finish(stream);
    assert_eq!(answer.result, json!({"ok": {"signal": "KILL", "timedOut": true}}));
    // A command that ends in time is not touched, and a timeout of 0 is none.
    for timeout in [0, 60_000] {
        let id = format!("quick-{timeout}");
        let stream = host.exec(&id, &["true"], json!({"timeoutMs": timeout}));
        assert_eq!(host.finish(stream).result, json!({"ok": {"exitCode": 0}}));
    }
}

#[test]
fn control_signals_the_process_group() {
    let (_agent, mut host) = start();
    let script = "trap 'echo caught; exit 9' USR1; echo ready; while :; do read line || :; done";
    let stream = host.exec("trap", &["sh", "-c", script], json!({}));
    assert_eq!(host.read_data(stream, 6), b"ready\n");
    host.send_control(stream, json!({"signal": "NO_SUCH_SIGNAL", "unknown": 1}));
    host.send_control(stream, json!({"signal": "USR1"}));
    let answer = host.finish(stream);
    assert_eq!((answer.text(), &answer.result), ("caught\n", &json!({"ok": {"exitCode": 9}})));
}

#[test]
fn close_does_not_wait_for_grandchildren_that_hold_the_pipes() {
    let (_agent, mut host) = start();
    let answer = host.sh("sleep 1000 & echo started; exit 5");
    assert_eq!((answer.text(), &answer.result), ("started\n", &json!({"ok": {"exitCode": 5}})));
}

#[test]
fn close_comes_after_everything_that_is_in_the_pipe() {
    let (_agent, mut host) = start();
    for round in 0..20 {
        let answer = host.sh("sleep 1000 & head -c 60000 /dev/zero; head -c 50000 /dev/zero >&2");
        assert_eq!((answer.stdout.len(), answer.stderr.len()), (60_000, 50_000), "round {round}");
    }
}

#[test]
fn reset_kills_the_command() {
    let (_agent, mut host) = start();
    let stream = host.exec("victim", &["sh", "-c", "echo $$; exec sleep 1000"], json!({}));
    let pid = host.read_data(stream, 2);
    host.send(FrameType::Reset, stream, &[]);
    // Signal 0 fails once it was killed and reaped, which the agent does before it can run many more commands.
    let pid = String::from_utf8(pid).expect("digits");
    let script = format!("while kill -0 {} 2>/dev/null; do :; done; echo gone", pid.trim());
    assert_eq!(host.sh(&script).text(), "gone\n");
    assert_eq!(host.request(json!({"kind": "ps"})), json!({"ok": {"execs": []}}));
}

#[test]
fn a_command_that_its_user_stops_before_it_has_begun_does_not_stop_the_agent() {
    if !rustix::process::getuid().is_root() {
        return eprintln!("skipped: only root can run commands as somebody else");
    }
    const USER: u32 = 48_211;
    let (_agent, mut host) = start();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // A thread that is that user stops every other process of his, also the child that has become the user and is nothing else yet.
    let hostile = std::thread::spawn(move || {
        let user = rustix::process::Uid::from_raw(USER);
        rustix::thread::set_thread_res_uid(user, user, user).expect("root may be anybody");
        // SAFETY: kill(2) with a valid signal; it reaches what belongs to the user.
        let all = |signal| unsafe { libc::kill(-1, signal) };
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            all(libc::SIGSTOP);
        }
        all(libc::SIGKILL);
    });
    for index in 0..40 {
        let stream = host.exec(&format!("s{index}"), &["true"], json!({"user": USER.to_string()}));
        let stats = host.request(json!({"kind": "stats"}));
        assert!(stats["ok"]["uptimeMs"].is_u64(), "{stats}");
        host.send(FrameType::Reset, stream, &[]);
    }
    drop(stop);
    hostile.join().expect("it ends");
    // Nothing of it is left behind, and the user's next command runs.
    let stream = host.exec("last", &["sh", "-c", "echo mine"], json!({"user": USER.to_string()}));
    assert_eq!(host.finish(stream).text(), "mine\n");
}
