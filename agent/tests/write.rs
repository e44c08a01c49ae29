//! `write`: a file that is there as a whole or not at all.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use banger_agent::wire::{FrameType, WINDOW};
use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::{Value, json};
use support::{Host, start};

/// A directory of one test, removed with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("banger-write-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Place(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }

    /// The names in it, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string()).collect();
        names.sort();
        names.into_iter().map(|name| name.expect("UTF-8")).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(host: &mut Host, path: &str) -> u32 {
    let owner = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    host.open(json!({"kind": "write", "path": path, "mode": 0o640, "uid": owner.0, "gid": owner.1}))
}

/// Writes a file of few bytes; returns what CLOSE says.
fn write(host: &mut Host, path: &str, content: &[u8]) -> Value {
    let stream = open(host, path);
    host.send_data(stream, content);
    host.send_end(stream);
    host.finish(stream).result
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

#[test]
fn a_file_arrives_with_its_mode_and_takes_the_place_of_an_older_one() {
    let place = Place::new("arrives");
    let (_agent, mut host) = start();
    let path = place.path("file");
    assert_eq!(write(&mut host, &path, b"first"), json!({"ok": {"bytes": 5}}));
    assert_eq!((fs::read(&path).expect("the file"), mode(&path)), (b"first".to_vec(), 0o640));
    let reader = fs::File::open(&path).expect("the file");
    assert_eq!(write(&mut host, &path, b"2nd"), json!({"ok": {"bytes": 3}}));
    assert_eq!(fs::read(&path).expect("the file"), b"2nd");
    // Who had it open has all of the old one.
    assert_eq!(std::io::read_to_string(reader).expect("the old file"), "first");
    let stream = open(&mut host, &place.path("empty"));
    host.send_end(stream);
    assert_eq!(host.finish(stream).result, json!({"ok": {"bytes": 0}}));
    assert_eq!(place.names(), ["empty", "file"]);
}

#[test]
fn a_file_is_not_seen_before_its_end() {
    let place = Place::new("unseen");
    let (_agent, mut host) = start();
    fs::write(place.path("file"), "old").expect("a file");
    let stream = open(&mut host, &place.path("file"));
    host.send_data(stream, b"new");
    host.expect_silence();
    assert_eq!(fs::read(place.path("file")).expect("the file"), b"old");
    let names = place.names();
    assert!(names.len() == 2 && names[0].starts_with(".banger-write-"), "{names:?}");
    assert_eq!(mode(place.path(&names[0])), 0o600);
    host.send_end(stream);
    assert_eq!(host.finish(stream).result, json!({"ok": {"bytes": 3}}));
    assert_eq!(place.names(), ["file"]);
}

#[test]
fn much_more_than_a_window_arrives_with_credit_for_every_byte() {
    const PIECE: usize = 65_536;
    const PIECES: usize = 640;
    let place = Place::new("much");
    let (agent, mut host) = start();
    let stream = open(&mut host, &place.path("file"));
    let mut credit = WINDOW as usize;
    for number in 0..PIECES {
        while credit < PIECE {
            let frame = host.read_of(stream);
            assert_eq!((frame.kind, frame.payload[0]), (FrameType::Credit, 0));
            credit += u32::from_le_bytes(frame.payload[1..].try_into().expect("4 bytes")) as usize;
            assert!(credit <= WINDOW as usize);
        }
        host.send_data(stream, &[number as u8; PIECE]);
        credit -= PIECE;
    }
    host.send_end(stream);
    assert_eq!(host.finish(stream).result, json!({"ok": {"bytes": PIECE * PIECES}}));
    let content = fs::read(place.path("file")).expect("the file");
    assert!(content.chunks(PIECE).enumerate().all(|(number, piece)| piece == [number as u8; PIECE]));
    let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).expect("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 16_384, "{kib} KiB");
}

#[test]
fn reset_a_new_sync_and_a_violation_leave_nothing() {
    let place = Place::new("reset");
    let (_agent, mut host) = start();
    let begin = |host: &mut Host| {
        let stream = open(host, &place.path("file"));
        host.send_data(stream, b"half of it");
        host.expect_silence();
        assert_eq!(place.names().len(), 1);
        stream
    };
    let stream = begin(&mut host);
    host.send(FrameType::Reset, stream, &[]);
    host.send_data(stream, b"late");
    host.send_end(stream);
    host.expect_silence();
    assert_eq!(place.names(), [""; 0]);

    begin(&mut host);
    let mut host = Host::connect(host.into_stream(), true);
    assert_eq!(place.names(), [""; 0]);

    let stream = begin(&mut host);
    host.send_data(stream, &vec![0; WINDOW as usize - 1]);
    let mut host = Host::connect(host.into_stream(), true);
    assert_eq!(place.names(), [""; 0]);
    assert_eq!(write(&mut host, &place.path("file"), b"x"), json!({"ok": {"bytes": 1}}));
}

#[test]
fn the_end_of_the_agent_leaves_nothing() {
    let place = Place::new("end");
    let (agent, mut host) = start();
    let stream = open(&mut host, &place.path("file"));
    host.send_data(stream, b"half of it");
    host.expect_silence();
    assert_eq!(place.names().len(), 1);
    drop(agent);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_link_in_the_place_is_replaced_and_one_above_it_is_followed() {
    let place = Place::new("links");
    let (_agent, mut host) = start();
    fs::write(place.path("target"), "untouched").expect("a file");
    symlink("target", place.path("link")).expect("a link");
    symlink("nowhere", place.path("dangling")).expect("a link");
    for name in ["link", "dangling"] {
        assert_eq!(write(&mut host, &place.path(name), b"new"), json!({"ok": {"bytes": 3}}));
        assert!(fs::symlink_metadata(place.path(name)).expect("it is there").is_file());
        assert_eq!(fs::read(place.path(name)).expect("the file"), b"new");
    }
    assert_eq!(fs::read(place.path("target")).expect("the file"), b"untouched");
    fs::create_dir(place.path("dir")).expect("a directory");
    symlink("dir", place.path("way")).expect("a link");
    assert_eq!(write(&mut host, &place.path("way/file"), b"x"), json!({"ok": {"bytes": 1}}));
    assert_eq!(fs::read(place.path("dir/file")).expect("the file"), b"x");
    assert_eq!(place.names(), ["dangling", "dir", "link", "target", "way"]);
}

#[test]
fn missing_directories_are_made_for_their_owner_alone() {
    let place = Place::new("parents");
    let (_agent, mut host) = start();
    assert_eq!(write(&mut host, &place.path("a/b/file"), b"x"), json!({"ok": {"bytes": 1}}));
    for name in ["a", "a/b"] {
        assert_eq!(mode(place.path(name)), 0o700);
    }
    assert_eq!(mode(place.path("a/b/file")), 0o640);
}

#[test]
fn owner_and_special_bits_are_set_when_the_agent_is_root() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::new("owner");
    let (_agent, mut host) = start();
    let path = place.path("made/file");
    let stream = host.open(json!({"kind": "write", "path": path, "mode": 0o4755, "uid": 1234, "gid": 5678}));
    host.send_end(stream);
    assert_eq!(host.finish(stream).result, json!({"ok": {"bytes": 0}}));
    assert_eq!(mode(&path), 0o4755);
    for path in [path, place.path("made")] {
        let status = fs::symlink_metadata(path).expect("it is there");
        assert_eq!((status.uid(), status.gid()), (1234, 5678));
    }
}

#[test]
fn what_is_in_the_way_is_an_error_that_names_the_path_and_leaves_nothing() {
    let place = Place::new("way");
    let (_agent, mut host) = start();
    fs::create_dir(place.path("dir")).expect("a directory");
    fs::write(place.path("file"), "").expect("a file");
    symlink("nowhere", place.path("dangling")).expect("a link");
    let long = format!("/{}", "x".repeat(256));
    for (path, code) in [
        (place.path("dir"), "failed_precondition"),
        (place.path("file/x"), "failed_precondition"),
        (place.path("dangling/x"), "failed_precondition"),
        (place.path(&long[1..]), "invalid_argument"),
        // Nobody may make files there, root neither.
        ("/sys/kernel/x".to_string(), "permission_denied"),
        ("/sys/x/y".to_string(), "permission_denied"),
    ] {
        let answer = write(&mut host, &path, b"x");
        assert_eq!(answer["error"]["code"], json!(code), "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(&path)), "{answer}");
    }
    assert_eq!(place.names(), ["dangling", "dir", "file"]);
}

#[test]
fn a_full_disk_ends_the_stream_and_leaves_nothing() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: only root can mount a small file system");
        return;
    }
    let place = Place::new("full");
    let (_agent, mut host) = start();
    rustix::mount::mount("tmpfs", &place.0, "tmpfs", MountFlags::empty(), c"size=64k").expect("a mount");
    let stream = open(&mut host, &place.path("file"));
    host.send_data(stream, &[b'x'; 150_000]);
    let answer = host.finish(stream);
    // The sender has not heard of it yet.
    host.send_data(stream, b"more");
    host.send_end(stream);
    host.expect_silence();
    let names = place.names();
    rustix::mount::unmount(&place.0, UnmountFlags::DETACH).expect("unmounted");
    assert_eq!((answer.error_code(), names.len()), ("resource_exhausted", 0));
}

#[test]
fn requests_that_name_no_file_are_refused() {
    let (_agent, mut host) = start();
    for path in ["", "x", "/", "//x", "/tmp/", "/tmp/../x", "/tmp/./x", "/tmp//x", "/tmp/\0x"] {
        let answer = host.request(json!({"kind": "write", "path": path, "mode": 0o600}));
        assert_eq!(answer["error"]["code"], json!("invalid_argument"), "{path:?}");
    }
    for wrong in [json!({"mode": 0o10000}), json!({"mode": -1}), json!({"mode": 0o600, "uid": u32::MAX}), json!({})] {
        let mut request = json!({"kind": "write", "path": "/tmp/x"});
        request.as_object_mut().expect("an object").extend(wrong.as_object().expect("an object").clone());
        assert_eq!(host.request(request)["error"]["code"], json!("invalid_argument"), "{wrong}");
    }
}

#[test]
fn freeze_ends_files_under_way_and_none_begins_before_thaw() {
    let place = Place::new("freeze");
    let (_agent, mut host) = start();
    let stream = open(&mut host, &place.path("file"));
    let freeze = host.open(json!({"kind": "freeze"}));
    assert_eq!(host.finish(stream).error_code(), "failed_precondition");
    assert_eq!(host.finish(freeze).result, json!({"ok": {}}));
    assert_eq!(place.names(), [""; 0]);
    let refused = write(&mut host, &place.path("file"), b"x");
    assert_eq!(refused["error"]["code"], json!("failed_precondition"));
    assert_eq!(host.request(json!({"kind": "thaw"})), json!({"ok": {}}));
    assert_eq!(write(&mut host, &place.path("file"), b"x"), json!({"ok": {"bytes": 1}}));
}
