//! `scan`, `pick`, `remove`, `rename`: a tree of the guest whose other copy is the host's.

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use banger_agent::wire::{FrameType, WINDOW};
use serde_json::{Value, json};
use support::{Host, start};

/// A directory of one test, removed with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("banger-scan-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Place(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ask(host: &mut Host, request: Value) -> support::Answer {
    let stream = host.open(request);
    host.finish(stream)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    out
}

/// Kind, mode, size, seconds and nanoseconds of modification and change, name.
type Record = (u8, u16, u64, i64, u32, i64, u32, Vec<u8>);

fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at(39);
        let number = |at: usize, size: usize| {
            head[at..at + size].iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (name, rest) = rest.split_at(number(35, 4) as usize);
        found.push((
            head[0],
            number(1, 2) as u16,
            number(3, 8),
            number(11, 8) as i64,
            number(19, 4) as u32,
            number(23, 8) as i64,
            number(31, 4) as u32,
            name.to_vec(),
        ));
        bytes = rest;
    }
    found.sort_by(|a, b| a.7.cmp(&b.7));
    found
}

#[test]
fn scan_tells_what_the_kernel_tells_of_every_file_below_a_directory() {
    let place = Place::new("all");
    fs::create_dir_all(place.path("tree/sub/empty")).expect("directories");
    fs::write(place.path("tree/sub/file"), "hello").expect("a file");
    symlink("nowhere", place.path("tree/link")).expect("a link");
    let odd = place.0.join("tree").join(std::ffi::OsStr::from_bytes(b"odd\n\xff"));
    fs::write(&odd, "").expect("a file");
    let (_agent, mut host) = start();
    let answer = ask(&mut host, json!({"kind": "scan", "path": place.path("tree")}));
    assert_eq!(answer.result, json!({"ok": {"entries": 5}}));
    let found = records(&answer.stdout);
    let names: Vec<(u8, &[u8])> = found.iter().map(|record| (record.0, &record.7[..])).collect();
    let expected: [(u8, &[u8]); 5] =
        [(b'l', b"link"), (b'f', b"odd\n\xff"), (b'd', b"sub"), (b'd', b"sub/empty"), (b'f', b"sub/file")];
    assert_eq!(names, expected);
    let status = fs::metadata(place.path("tree/sub/file")).expect("its status");
    let (_, mode, size, mtime, mtime_nsec, ctime, ctime_nsec, _) = found[4].clone();
    assert_eq!((u32::from(mode), size), (status.mode() & 0o7777, 5));
    assert_eq!((mtime, i64::from(mtime_nsec)), (status.mtime(), status.mtime_nsec()));
    assert_eq!((ctime, i64::from(ctime_nsec)), (status.ctime(), status.ctime_nsec()));
    let missing = ask(&mut host, json!({"kind": "scan", "path": place.path("none")}));
    assert_eq!(missing.result["error"]["code"], "not_found");
    let file = ask(&mut host, json!({"kind": "scan", "path": place.path("tree/sub/file")}));
    assert_eq!(file.result["error"]["code"], "failed_precondition");
}

#[test]
fn pick_packs_the_named_files_and_notes_those_that_are_gone() {
    let place = Place::new("pick");
    fs::create_dir(place.path("sub")).expect("a directory");
    fs::write(place.path("sub/a"), "one").expect("a file");
    fs::write(place.path("b"), "two").expect("a file");
    let (_agent, mut host) = start();
    let names = base64(b"sub/a\0gone\0b/below\0b\0");
    let answer = ask(&mut host, json!({"kind": "pick", "path": place.path(""), "names": names}));
    assert_eq!(answer.result["ok"]["entries"], 2);
    assert_eq!(answer.result["ok"]["noted"], 2);
    assert!(answer.stdout.starts_with(b"sub/a\0"));
    for bad in [&b"/etc/passwd\0"[..], b"../x\0", b"a//b\0", b"a", b""] {
        let answer = ask(&mut host, json!({"kind": "pick", "path": "/", "names": base64(bad)}));
        assert_eq!(answer.result["error"]["code"], "invalid_argument", "{bad:?}");
    }
}

#[test]
fn remove_takes_files_and_empty_directories_and_follows_no_link() {
    let place = Place::new("remove");
    fs::create_dir_all(place.path("tree/sub")).expect("directories");
    fs::create_dir(place.path("outside")).expect("a directory");
    fs::write(place.path("outside/kept"), "").expect("a file");
    fs::write(place.path("tree/sub/file"), "").expect("a file");
    symlink(place.path("outside"), place.path("tree/link")).expect("a link");
    let (_agent, mut host) = start();
    let names = base64(b"link/kept\0sub\0sub/file\0sub\0gone\0");
    let answer = ask(&mut host, json!({"kind": "remove", "path": place.path("tree"), "names": names}));
    assert_eq!(answer.result["ok"]["removed"], 2);
    assert!(fs::exists(place.path("outside/kept")).expect("a look"));
    assert!(!fs::exists(place.path("tree/sub")).expect("a look"));
}

#[test]
fn rename_replaces_nothing_and_tells_the_time() {
    let place = Place::new("rename");
    fs::create_dir(place.path("from")).expect("a directory");
    fs::create_dir(place.path("taken")).expect("a directory");
    let (_agent, mut host) = start();
    let taken = ask(&mut host, json!({"kind": "rename", "from": place.path("from"), "to": place.path("taken")}));
    assert_eq!(taken.result["error"]["code"], "failed_precondition");
    let answer = ask(&mut host, json!({"kind": "rename", "from": place.path("from"), "to": place.path("to")}));
    let status = fs::metadata(place.path("to")).expect("its status");
    let now = (answer.result["ok"]["seconds"].as_i64(), answer.result["ok"]["nanoseconds"].as_i64());
    assert!(now >= (Some(status.ctime()), Some(status.ctime_nsec())) || now.0 > Some(status.ctime()), "{now:?}");
}

#[test]
fn splice_makes_a_file_of_its_own_pieces_and_refuses_one_that_has_changed() {
    let place = Place::new("splice");
    fs::write(place.path("file"), "0123456789").expect("a file");
    let status = fs::metadata(place.path("file")).expect("its status");
    let (_agent, mut host) = start();
    let piece = |kind: u8, at: u64, length: u64| [&[kind][..], &at.to_le_bytes(), &length.to_le_bytes()].concat();
    let ask = |host: &mut Host, size: u64, pieces: &[u8]| {
        let stream = host.open(json!({
            "kind": "splice", "path": place.path("file"), "size": size, "maxSize": 64,
            "changedSeconds": status.ctime(), "changedNanoseconds": status.ctime_nsec(),
        }));
        host.send_data(stream, pieces);
        host.send_end(stream);
        host.finish(stream).result
    };
    let names = || fs::read_dir(&place.0).expect("a directory").count();
    for bad in [piece(b'c', 5, 6), piece(b'x', 0, 1), piece(b'd', 0, 3), b"c".to_vec(), piece(b'c', u64::MAX, 2)] {
        assert_eq!(ask(&mut host, 10, &bad)["error"]["code"], "invalid_argument");
    }
    assert_eq!(ask(&mut host, 9, &piece(b'c', 0, 1))["error"]["code"], "failed_precondition");
    assert_eq!((names(), fs::read(place.path("file")).expect("its content")), (1, b"0123456789".to_vec()));
    let pieces = [piece(b'c', 7, 3), piece(b'd', 0, 2), b"ab".to_vec(), piece(b'c', 0, 4)].concat();
    assert_eq!(ask(&mut host, 10, &pieces)["ok"]["bytes"], 9);
    assert_eq!((names(), fs::read(place.path("file")).expect("its content")), (1, b"789ab0123".to_vec()));
}

#[test]
fn a_splice_that_copies_much_leaves_time_for_others() {
    let place = Place::new("large-splice");
    let size = 64 << 20;
    fs::File::create(place.path("file")).and_then(|file| file.set_len(size)).expect("a file of nothing but a hole");
    let status = fs::metadata(place.path("file")).expect("its status");
    let (_agent, mut host) = start();
    let stream = host.next_id();
    let request = json!({
        "kind": "splice", "path": place.path("file"), "size": size, "maxSize": size,
        "changedSeconds": status.ctime(), "changedNanoseconds": status.ctime_nsec(),
    });
    let pieces = [&[b'c'][..], &0u64.to_le_bytes(), &size.to_le_bytes()].concat();
    // All at once, so that what is asked last is there before the copying begins.
    host.send_together(&[
        (FrameType::Open, stream, request.to_string().as_bytes()),
        (FrameType::Data, stream, &[&[0][..], &pieces].concat()),
        (FrameType::End, stream, &[0]),
        (FrameType::Ping, 0, b"silence?"),
    ]);
    assert_eq!(host.read().kind, FrameType::Pong);
    assert_eq!(host.finish(stream).result["ok"]["bytes"], size);
    assert_eq!(fs::metadata(place.path("file")).expect("its status").len(), size);
}

#[test]
fn a_splice_gives_credit_back_as_it_goes() {
    let place = Place::new("credit");
    fs::write(place.path("file"), "x").expect("a file");
    let status = fs::metadata(place.path("file")).expect("its status");
    let (_agent, mut host) = start();
    let size = 4 * u64::from(WINDOW);
    let stream = host.open(json!({
        "kind": "splice", "path": place.path("file"), "size": 1, "maxSize": size,
        "changedSeconds": status.ctime(), "changedNanoseconds": status.ctime_nsec(),
    }));
    let content: Vec<u8> = (0..size).map(|at| (at / 251) as u8).collect();
    let pieces = [&[b'd'][..], &0u64.to_le_bytes(), &size.to_le_bytes(), &content].concat();
    let (mut rest, mut credit) = (&pieces[..], WINDOW as usize);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(credit).min(100_000));
        host.send_data(stream, now);
        (rest, credit) = (later, credit - now.len());
        while credit == 0 && !rest.is_empty() {
            let frame = host.read_of(stream);
            assert_eq!((frame.kind, frame.payload[0]), (FrameType::Credit, 0));
            credit += u32::from_le_bytes(frame.payload[1..].try_into().expect("four bytes")) as usize;
        }
    }
    host.send_end(stream);
    assert_eq!(host.finish(stream).result["ok"]["bytes"], size);
    assert_eq!(fs::read(place.path("file")).expect("its content"), content);
}
