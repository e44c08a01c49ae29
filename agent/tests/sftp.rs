//! The server of files over SSH: through an `exec` of the real agent, and its session alone, fed packet by packet.

mod support;

use std::path::{Path, PathBuf};

use banger_agent::sftp::{MAX_PACKET, Session};
use serde_json::json;
use support::start;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("banger-sftp-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Scratch(std::fs::canonicalize(path).expect("a path"))
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test that fails has said why already.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A field of a packet.
enum Field<'a> {
    Number(u32),
    Long(u64),
    Text(&'a [u8]),
}

use Field::{Long, Number, Text};

fn text(value: &str) -> Field<'_> {
    Text(value.as_bytes())
}

fn packet(kind: u8, fields: &[Field]) -> Vec<u8> {
    let mut packet = vec![kind];
    for field in fields {
        match field {
            Number(value) => packet.extend(value.to_be_bytes()),
            Long(value) => packet.extend(value.to_be_bytes()),
            Text(bytes) => {
                packet.extend((bytes.len() as u32).to_be_bytes());
                packet.extend(*bytes);
            }
        }
    }
    packet
}

const HELLO: u8 = 1;
const ID: Field = Number(7);
/// No attributes.
const PLAIN: Field = Number(0);
const READ: u32 = 1;
const WRITE_NEW: u32 = 2 | 8 | 32;

/// A client that has said hello.
struct Client(Session);

/// What came back: the kind of the packet, and what stands behind its id.
struct Answer(u8, Vec<u8>);

impl Answer {
    fn status(&self) -> u32 {
        assert_eq!(self.0, 101, "a STATUS");
        u32::from_be_bytes(self.1[..4].try_into().expect("a code"))
    }

    fn string(&self) -> &[u8] {
        let length = u32::from_be_bytes(self.1[..4].try_into().expect("a length")) as usize;
        assert_eq!(self.1.len(), 4 + length, "nothing but a string");
        &self.1[4..]
    }

    fn handle(&self) -> Vec<u8> {
        assert_eq!(self.0, 102, "a HANDLE: {}", String::from_utf8_lossy(&self.1));
        self.string().to_vec()
    }
}

impl Client {
    fn new() -> Self {
        let mut session = Session::default();
        let mut out = Vec::new();
        session.answer(&packet(HELLO, &[Number(3)]), &mut out).expect("a greeting");
        assert_eq!(out[4..9], [2, 0, 0, 0, 3]);
        Client(session)
    }

    fn send(&mut self, packet: &[u8]) -> Answer {
        let mut out = Vec::new();
        self.0.answer(packet, &mut out).expect("an answer");
        let length = u32::from_be_bytes(out[..4].try_into().expect("a length")) as usize;
        assert_eq!(out.len(), 4 + length, "one packet");
        assert!(length <= MAX_PACKET);
        assert_eq!(out[5..9], [0, 0, 0, 7], "the id of the request");
        Answer(out[4], out[9..].to_vec())
    }

    fn ask(&mut self, kind: u8, fields: &[Field]) -> Answer {
        let mut all = packet(kind, &[ID]);
        all.extend(&packet(0, fields)[1..]);
        self.send(&all)
    }

    fn open(&mut self, path: &str, flags: u32) -> Answer {
        self.ask(3, &[text(path), Number(flags), PLAIN])
    }
}

#[test]
fn session_writes_reads_and_moves_a_file() {
    let scratch = Scratch::new("file");
    let (mut client, path, moved) = (Client::new(), scratch.at("f"), scratch.at("g"));
    let handle = client.ask(3, &[text(&path), Number(WRITE_NEW), Number(4), Number(0o100640)]).handle();
    assert_eq!(client.ask(6, &[Text(&handle), Long(2), text("cd")]).status(), 0);
    assert_eq!(client.ask(6, &[Text(&handle), Long(0), text("ab")]).status(), 0);
    assert_eq!(client.ask(10, &[Text(&handle), Number(8), Number(5), Number(1_600_000_000)]).status(), 0);
    assert_eq!(client.ask(4, &[Text(&handle)]).status(), 0);
    assert_eq!(client.ask(4, &[Text(&handle)]).status(), 4);
    assert_eq!(client.open(&path, WRITE_NEW).status(), 4);
    let facts = client.ask(17, &[text(&path)]);
    assert_eq!((facts.0, facts.1.len()), (105, 32));
    assert_eq!(facts.1[4..12], 4u64.to_be_bytes());
    assert_eq!(facts.1[20..24], 0o100640u32.to_be_bytes());
    assert_eq!(facts.1[28..32], 1_600_000_000u32.to_be_bytes());
    assert_eq!(client.ask(18, &[text(&path), text(&moved)]).status(), 0);
    let handle = client.open(&moved, READ).handle();
    assert_eq!(client.ask(5, &[Text(&handle), Long(1), Number(u32::MAX)]).string(), b"bcd");
    assert_eq!(client.ask(5, &[Text(&handle), Long(4), Number(1)]).status(), 1);
    assert_eq!(client.open(&path, READ).status(), 2);
    std::fs::write(&path, "other").expect("a file");
    assert_eq!(client.ask(18, &[text(&path), text(&moved)]).status(), 4);
    assert_eq!(client.ask(200, &[text("posix-rename@openssh.com"), text(&path), text(&moved)]).status(), 0);
    assert_eq!(std::fs::read(&moved).expect("a file"), b"other");
    assert_eq!(client.ask(13, &[text(&moved)]).status(), 0);
    assert!(!Path::new(&moved).exists());
}

#[test]
fn session_lists_names_of_any_bytes_and_follows_only_what_it_is_asked_to() {
    let scratch = Scratch::new("names");
    let mut client = Client::new();
    let odd = [scratch.0.to_str().expect("UTF-8").as_bytes(), b"/a\n\xff b"].concat();
    assert_eq!(client.ask(14, &[Text(&odd), PLAIN]).status(), 0);
    let link = scratch.at("link");
    assert_eq!(client.ask(20, &[text("nowhere"), text(&link)]).status(), 0);
    assert_eq!(client.ask(17, &[text(&link)]).status(), 2);
    assert_eq!(client.ask(7, &[text(&link)]).0, 105);
    assert_eq!(client.ask(19, &[text(&link)]).1[4..15], *b"\0\0\0\x07nowhere");
    let handle = client.ask(11, &[text(&scratch.at(""))]).handle();
    let mut listing = Vec::new();
    loop {
        let answer = client.ask(12, &[Text(&handle)]);
        if answer.0 == 101 {
            assert_eq!(answer.status(), 1);
            break;
        }
        assert_eq!(answer.0, 104);
        listing.extend(answer.1);
    }
    for name in [&b"\0\0\0\x05a\n\xff b"[..], b"\0\0\0\x04link", b"\0\0\0\x02.."] {
        assert!(listing.windows(name.len()).any(|window| window == name));
    }
    assert_eq!(client.ask(15, &[Text(&odd)]).status(), 0);
    let real = client.ask(16, &[text(&scratch.at("no/../such"))]);
    assert_eq!(real.status(), 2);
    let real = client.ask(16, &[text(&scratch.at("./such"))]);
    assert!(real.1.ends_with(&[scratch.at("such").as_bytes(), &[0; 4]].concat()));
}

#[test]
fn session_refuses_what_ends_too_early_and_does_none_of_it() {
    let scratch = Scratch::new("short");
    let mut client = Client::new();
    let (a, b) = (scratch.at("a"), scratch.at("b"));
    let requests: [(u8, Vec<Field>); 8] = [
        (3, vec![text(&a), Number(WRITE_NEW), Number(1), Long(5)]),
        (9, vec![text(&a), Number(4), Number(0)]),
        (13, vec![text(&a)]),
        (14, vec![text(&a), Number(4), Number(0o700)]),
        (18, vec![text(&a), text(&b)]),
        (20, vec![text(&a), text(&b)]),
        (200, vec![text("hardlink@openssh.com"), text(&a), text(&b)]),
        (200, vec![text("lsetstat@openssh.com"), text(&a), Number(8), Number(1), Number(1)]),
    ];
    for (kind, fields) in requests {
        let mut whole = packet(kind, &[ID]);
        whole.extend(&packet(0, &fields)[1..]);
        for end in 5..whole.len() {
            assert_eq!(client.send(&whole[..end]).status(), 5, "{kind}, {end} bytes");
        }
    }
    assert_eq!(std::fs::read_dir(&scratch.0).expect("a directory").count(), 0);
    assert_eq!(client.ask(99, &[]).status(), 8);
    assert_eq!(client.ask(200, &[text("no-such@extension")]).status(), 8);
    assert_eq!(client.ask(13, &[Text(b"/nul\0byte")]).status(), 4);
}

#[test]
fn session_keeps_so_many_files_open_and_no_more() {
    let mut client = Client::new();
    let handles: Vec<_> = (0..1024).map(|_| client.open("/dev/null", READ).handle()).collect();
    assert_eq!(client.open("/dev/null", READ).status(), 4);
    assert_eq!(client.ask(11, &[text("/")]).status(), 4);
    assert_eq!(client.ask(4, &[Text(&handles[500])]).status(), 0);
    let next = client.open("/dev/null", READ).handle();
    assert!(!handles.contains(&next));
    // A file is no directory, and what is closed is nothing.
    assert_eq!(client.ask(12, &[Text(&next)]).status(), 4);
    assert_eq!(client.ask(8, &[Text(&handles[500])]).status(), 4);
    assert_eq!(client.ask(5, &[Text(b""), Long(0), Number(1)]).status(), 4);
}

#[test]
fn session_waits_for_no_pipe() {
    let scratch = Scratch::new("pipe");
    let path = scratch.at("pipe");
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let mut client = Client::new();
    assert_eq!(client.open(&path, 2).status(), 4);
    let handle = client.open(&path, READ).handle();
    assert_eq!(client.ask(5, &[Text(&handle), Long(0), Number(1)]).status(), 4);
}

#[test]
fn session_ends_without_a_greeting() {
    for first in [packet(17, &[ID, text("/")]), packet(HELLO, &[Number(2)]), vec![HELLO], vec![]] {
        assert!(Session::default().answer(&first, &mut Vec::new()).is_err());
    }
}

#[test]
fn exec_runs_the_agents_own_server_as_a_command_of_its_own() {
    let scratch = Scratch::new("exec");
    let (_agent, mut host) = start();
    let argv = ["/bin/sh", "-c", "echo an old agent"];
    let stream = host.exec("files", &argv, json!({"builtin": "sftp", "cwd": scratch.at("")}));
    let framed = |packet: Vec<u8>| [&(packet.len() as u32).to_be_bytes()[..], &packet].concat();
    host.send_data(stream, &framed(packet(HELLO, &[Number(3)])));
    // In two pieces, and of its working directory.
    let request = framed(packet(16, &[ID, text(".")]));
    host.send_data(stream, &request[..6]);
    host.send_data(stream, &request[6..]);
    host.send_end(stream);
    let answer = host.finish(stream);
    assert_eq!(answer.result, json!({"ok": {"exitCode": 0}}));
    let path = scratch.at("");
    assert!(answer.stdout.ends_with(&[path.trim_end_matches('/').as_bytes(), &[0; 4]].concat()));
    let stream = host.exec("bad", &["true"], json!({"builtin": "sftp"}));
    host.send_data(stream, &u32::MAX.to_be_bytes());
    let answer = host.finish(stream);
    assert_eq!(answer.result, json!({"ok": {"exitCode": 1}}));
    assert_eq!(answer.stderr, b"banger-agent: the sftp client sent a packet that is too long\n");
    let stream = host.exec("unknown", &["true"], json!({"builtin": "ftp"}));
    assert_eq!(host.finish(stream).error_code(), "invalid_argument");
}
