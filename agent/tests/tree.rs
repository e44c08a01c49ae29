//! `tar-out`, `tar-in`, `read`, `put`, `stat`: files of the guest, also as GNU tar sees them, and archives that lie.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use banger_agent::wire::{FrameType, WINDOW};
use serde_json::{Value, json};
use support::{Answer, Host, start};

/// A directory of one test, removed with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("banger-tree-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Place(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }

    fn sh(&self, script: &str) -> String {
        let output = Command::new("sh").args(["-ec", script]).current_dir(&self.0).output().expect("sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sends bytes as credit allows; returns early when the stream was closed.
fn send(host: &mut Host, stream: u32, bytes: &[u8]) -> Answer {
    let mut credit = WINDOW as usize;
    for piece in bytes.chunks(60_000) {
        while credit < piece.len() {
            let frame = host.read_of(stream);
            match frame.kind {
                FrameType::Credit => {
                    credit += u32::from_le_bytes(frame.payload[1..].try_into().expect("4 bytes")) as usize;
                }
                FrameType::Close => {
                    let result = serde_json::from_slice(&frame.payload).expect("JSON");
                    return Answer { result, ..Answer::default() };
                }
                kind => panic!("{kind:?}"),
            }
        }
        host.send_data(stream, piece);
        credit -= piece.len();
    }
    host.send_end(stream);
    host.finish(stream)
}

fn owner() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
}

fn unpack(host: &mut Host, path: &str, archive: &[u8]) -> Value {
    let (uid, gid) = owner();
    let stream = host.open(json!({"kind": "tar-in", "path": path, "uid": uid, "gid": gid}));
    send(host, stream, archive).result
}

fn pack(host: &mut Host, path: &str, name: &str, more: Value) -> Answer {
    let mut request = json!({"kind": "tar-out", "paths": [{"path": path, "name": name}]});
    request.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    let stream = host.open(request);
    host.finish(stream)
}

/// A tar made by Python, whose library writes whatever it is told to.
fn forge(members: &str) -> Vec<u8> {
    let script = format!(
        "import tarfile,io,sys\nt=tarfile.open(fileobj=sys.stdout.buffer,mode='w|')\n\
         def add(n,k=tarfile.REGTYPE,l='',c=b'',m=0o644):\n i=tarfile.TarInfo(n); i.type=k; i.linkname=l; i.size=len(c); i.mode=m\n t.addfile(i,io.BytesIO(c))\n{members}\nt.close()"
    );
    let output = Command::new("python3").args(["-c", &script]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const LISTING: &str = "find . -mindepth 1 -printf '%P %y %m %n %l %T@ %s\\n' | sed -E 's/^(.*) d ([0-9]+) [0-9]+ /\\1 d \\2 /' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum";

fn make_tree(place: &Place) {
    place.sh(
        "mkdir -p in/a/b in/empty; cd in; echo hello > a/file; chmod 640 a/file; ln -s ../a/file a/b/link; ln a/file a/hard
         printf x > \"$(printf 'new\\nline\\377')\"; mkfifo pipe; truncate -s 40M hole; printf y | dd of=hole bs=1 seek=20000000 conv=notrunc status=none
         head -c 300000 /dev/urandom > random; : > empty-file; chmod 1777 empty; chmod 500 a/b
         long=$(printf '%0120d' 7); mkdir -p $long/$long; echo deep > $long/$long/$long; ln -s $long$long long-link
         for n in $(seq 90 100); do cut=$(printf \"%0${n}d\" 0); mkdir $cut; echo $n > $cut/file; done
         find . -depth -exec touch -h -d '2020-02-03 04:05:06.789012345' {} +",
    );
}

#[test]
fn a_tree_that_went_out_and_in_is_the_same_with_holes_links_and_times() {
    let place = Place::new("round");
    make_tree(&place);
    let (_agent, mut host) = start();
    let archive = pack(&mut host, &place.path("in"), "out", json!({}));
    assert_eq!(archive.result["ok"]["noted"], json!(0), "{}", archive.result);
    let result = unpack(&mut host, &place.path(""), &archive.stdout);
    assert_eq!(result["ok"]["entries"], archive.result["ok"]["entries"], "{result}");
    assert_eq!(place.sh(&format!("cd in; {LISTING}")), place.sh(&format!("cd out; {LISTING}")));
    let hole = fs::metadata(place.path("out/hole")).expect("the file");
    assert!(hole.blocks() * 512 < 1_000_000, "{}", hole.blocks());
    place.sh("test \"$(ls -A | tr '\\n' ' ')\" = 'in out '");
}

#[test]
fn gnu_tar_unpacks_what_went_out_and_what_it_packs_goes_in() {
    let place = Place::new("gnu");
    make_tree(&place);
    let (_agent, mut host) = start();
    let archive = pack(&mut host, &place.path("in"), "gnu", json!({}));
    let mut tar =
        Command::new("tar").args(["-xpSf", "-"]).current_dir(&place.0).stdin(Stdio::piped()).spawn().expect("tar");
    tar.stdin.take().expect("a pipe").write_all(&archive.stdout).expect("it reads");
    assert!(tar.wait().expect("it ends").success());
    // GNU tar does not know of our nanoseconds.
    let listing = LISTING.replace("%T@", "%Ty");
    assert_eq!(place.sh(&format!("cd in; {listing}")), place.sh(&format!("cd gnu; {listing}")));
    for format in ["pax", "gnu"] {
        let sparse = if format == "pax" { "-S --sparse-version=1.0" } else { "" };
        place.sh(&format!("rm -rf back; mkdir back; tar --format={format} {sparse} -cf archive -C in ."));
        let bytes = fs::read(place.path("archive")).expect("the archive");
        let result = unpack(&mut host, &place.path("back"), &bytes);
        assert!(result["ok"].is_object(), "{result}");
        assert_eq!(place.sh(&format!("cd in; {listing}")), place.sh(&format!("cd back; {listing}")), "{format}");
    }
}

#[test]
fn follow_copies_what_links_point_to_and_stops_at_a_loop() {
    let place = Place::new("follow");
    place.sh("mkdir -p in/d real; echo x > real/file; ln -s ../../real in/d/link");
    let (_agent, mut host) = start();
    let archive = pack(&mut host, &place.path("in"), "out", json!({"follow": true}));
    assert!(unpack(&mut host, &place.path(""), &archive.stdout)["ok"].is_object());
    assert_eq!(fs::read(place.path("out/d/link/file")).expect("a file"), b"x\n");
    place.sh("ln -s .. in/d/up");
    let answer = pack(&mut host, &place.path("in"), "out", json!({"follow": true}));
    assert_eq!(answer.error_code(), "failed_precondition");
}

#[test]
fn no_member_leaves_the_destination() {
    let place = Place::new("leave");
    let (_agent, mut host) = start();
    fs::create_dir(place.path("outside")).expect("a directory");
    for (members, code) in [
        ("add('../x',c=b'x')", "invalid_argument"),
        ("add('a/../../x',c=b'x')", "invalid_argument"),
        ("add('l',tarfile.SYMTYPE,'../outside')\nadd('l/x',c=b'x')", "failed_precondition"),
        ("add('l',tarfile.SYMTYPE,'/')\nadd('l/tmp/x',c=b'x')", "failed_precondition"),
        ("add('l',tarfile.SYMTYPE,'../outside')\nadd('l',tarfile.DIRTYPE)\nadd('l/x',c=b'x')", "failed_precondition"),
        ("add('f',c=b'')\nadd('f/x',c=b'x')", "failed_precondition"),
        ("add('h',tarfile.LNKTYPE,'../outside')", "invalid_argument"),
        ("add('l',tarfile.SYMTYPE,'../outside')\nadd('h',tarfile.LNKTYPE,'l/f')", "failed_precondition"),
        ("add('h',tarfile.LNKTYPE,'missing')", "not_found"),
        ("add('d',tarfile.DIRTYPE)\nadd('d',c=b'x')", "failed_precondition"),
        ("add('',c=b'x')", "invalid_argument"),
        ("add('s',b'S',c=b'x')", "unsupported"),
    ] {
        let into = place.path("into");
        fs::create_dir(&into).expect("a directory");
        let result = unpack(&mut host, &into, &forge(members));
        assert_eq!(result["error"]["code"], json!(code), "{members}: {result}");
        assert_eq!(place.sh("ls -A outside; ls -A into | grep banger || true"), "", "{members}");
        assert_eq!(place.sh("ls"), "into\noutside\n");
        fs::remove_dir_all(&into).expect("removed");
    }
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_special_bits_need_asking() {
    let place = Place::new("replace");
    let (_agent, mut host) = start();
    fs::write(place.path("target"), "untouched").expect("a file");
    symlink("target", place.path("f")).expect("a link");
    let archive = forge("add('/f',c=b'new',m=0o6755)\nadd('dev',tarfile.CHRTYPE)");
    let result = unpack(&mut host, &place.path(""), &archive);
    assert_eq!(result["ok"]["skipped"], json!(1), "{result}");
    assert_eq!(fs::read(place.path("target")).expect("a file"), b"untouched");
    let placed = fs::symlink_metadata(place.path("f")).expect("it is there");
    assert_eq!((placed.is_file(), placed.permissions().mode() & 0o7777), (true, 0o755));
    let stream = host.open(json!({"kind": "tar-in", "path": place.path(""), "special": true}));
    send(&mut host, stream, &forge("add('f',c=b'new',m=0o6755)"));
    assert_eq!(fs::metadata(place.path("f")).expect("it is there").permissions().mode() & 0o7777, 0o6755);
}

#[test]
fn a_transfer_that_is_cut_off_leaves_whole_files_only() {
    let place = Place::new("cut");
    let (_agent, mut host) = start();
    let archive = forge("add('a',c=b'whole')\nadd('b',c=b'x'*100000)");
    let stream = host.open(json!({"kind": "tar-in", "path": place.path("")}));
    host.send_data(stream, &archive[..50_000]);
    host.send(FrameType::Reset, stream, &[]);
    host.expect_silence();
    assert_eq!(place.sh("ls -A"), "a\n");
    let stream = host.open(json!({"kind": "tar-in", "path": place.path("")}));
    host.send_data(stream, &archive[..50_000]);
    host.send_end(stream);
    assert_eq!(host.finish(stream).error_code(), "invalid_argument");
    assert_eq!(place.sh("ls -A"), "a\n");
}

#[test]
fn in_a_directory_of_the_archive_a_cut_off_file_is_gone_too_and_a_repeated_one_replaces_the_first() {
    let place = Place::new("fresh");
    let (_agent, mut host) = start();
    let (uid, gid) = owner();
    // The directory itself, and one in it that the archive does not describe.
    for at in ["d", "d/e"] {
        let archive = forge(&format!(
            "add('d/',tarfile.DIRTYPE,m=0o775)\nadd('{at}/a',c=b'whole',m=0o666)\nadd('{at}/a',c=b'again',m=0o777)\nadd('{at}/b',c=b'x'*100000)",
        ));
        let stream = host.open(json!({"kind": "tar-in", "path": place.path(""), "uid": uid, "gid": gid}));
        host.send_data(stream, &archive[..50_000]);
        host.send(FrameType::Reset, stream, &[]);
        host.expect_silence();
        assert_eq!(place.sh(&format!("cd {at}; ls -A; cat a; stat -c %a a")), "a\nagain777\n");
        place.sh("rm -r d");
        assert!(unpack(&mut host, &place.path(""), &archive)["ok"].is_object());
        let shown = place.sh(&format!("stat -c '%a %s' d {at} {at}/a {at}/b | sed '1,2s/ .*//'"));
        let own = if at == "d" { "775" } else { "755" };
        assert_eq!(shown, format!("775\n{own}\n777 5\n644 100000\n"));
        place.sh("rm -r d");
    }
}

#[test]
fn what_a_directory_hands_down_does_not_reach_the_files_of_an_archive() {
    let place = Place::new("inherit");
    let (_agent, mut host) = start();
    // The group, and a default ACL (version 2; user, group, others: rwx, r-x, none), which would take bits of the mode away.
    place.sh(
        "mkdir group acl; chmod g+s group; [ $(id -u) != 0 ] || chgrp 12 group
         python3 -c \"import os,struct;os.setxattr('acl','system.posix_acl_default',struct.pack('<I',2)+b''.join(struct.pack('<HHI',t,p,2**32-1) for t,p in ((1,7),(4,5),(32,0))))\"",
    );
    let archive = forge("add('d/',tarfile.DIRTYPE,m=0o755)\nadd('d/f',c=b'x',m=0o666)\nadd('d/e/f',c=b'x',m=0o666)");
    for parent in ["group", "acl"] {
        let result = unpack(&mut host, &place.path(parent), &archive);
        assert!(result["ok"].is_object(), "{result}");
        let (uid, gid) = owner();
        let shown = place.sh(&format!("stat -c '%a %u %g' {parent}/d/f {parent}/d/e/f"));
        assert_eq!(shown, format!("666 {uid} {gid}\n").repeat(2), "{parent}");
    }
}

#[test]
fn read_gives_a_file_from_an_offset_on_and_says_what_it_is() {
    let place = Place::new("read");
    let (_agent, mut host) = start();
    let content: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(7919) >> 3) as u8).collect();
    fs::write(place.path("f"), &content).expect("a file");
    for offset in [0, 1, 999_999, 1_000_000] {
        let stream = host.open(json!({"kind": "read", "path": place.path("f"), "offset": offset}));
        let answer = host.finish(stream);
        assert_eq!(answer.stdout, &content[offset..]);
        assert_eq!(answer.control[0]["file"]["size"], json!(1_000_000));
        assert_eq!(
            (answer.result["ok"]["bytes"].as_u64(), &answer.ends[..]),
            (Some(1_000_000 - offset as u64), &[1][..])
        );
    }
    let stream = host.open(json!({"kind": "read", "path": "/proc/self/status"}));
    assert!(host.finish(stream).text().starts_with("Name:"));
    for (path, offset, code) in
        [("f", 1_000_001, "invalid_argument"), ("", 0, "failed_precondition"), ("no", 0, "not_found")]
    {
        let answer = host.request(json!({"kind": "read", "path": place.path(path), "offset": offset}));
        assert_eq!(answer["error"]["code"], json!(code), "{answer}");
    }
}

#[test]
fn put_goes_on_where_an_earlier_attempt_ended() {
    let place = Place::new("put");
    let (_agent, mut host) = start();
    let (uid, gid) = owner();
    let key = "0123456789abcdef";
    let put = |offset: usize| {
        json!({"kind": "put", "path": place.path("f"), "mode": 0o640, "uid": uid, "gid": gid,
        "mtimeMs": 1_580_000_000_123.5, "key": key, "offset": offset})
    };
    let content: Vec<u8> = (0..400_000u32).map(|n| (n.wrapping_mul(31) >> 2) as u8).collect();
    let first = host.open(put(0));
    host.send_data(first, &content[..200_000]);
    host.expect_silence_but_credit();
    let answer = host.request(put(0));
    assert_eq!(answer["error"]["code"], json!("failed_precondition"), "{answer}");
    host.send(FrameType::Reset, first, &[]);
    let part = place.path(&format!(".banger-part-{key}"));
    let answer = host.request(json!({"kind": "stat", "path": part}));
    assert_eq!(answer["ok"]["size"], json!(200_000), "{answer}");
    assert!(!fs::exists(place.path("f")).expect("known"));
    let again = host.open(put(150_000));
    assert_eq!(send(&mut host, again, &content[150_000..]).result, json!({"ok": {"bytes": 400_000}}));
    let status = fs::metadata(place.path("f")).expect("the file");
    assert_eq!(fs::read(place.path("f")).expect("the file"), content);
    assert_eq!((status.mode() & 0o7777, status.mtime(), status.mtime_nsec()), (0o640, 1_580_000_000, 123_500_000));
    assert_eq!(place.sh("ls -A"), "f\n");
    assert_eq!(host.request(put(1))["error"]["code"], json!("failed_precondition"));
    place.sh(&format!("rm .banger-part-{key}; ln -s f .banger-part-{key}"));
    assert_eq!(host.request(put(0))["error"]["code"], json!("failed_precondition"));
    assert_eq!(fs::read(place.path("f")).expect("the file"), content);
}

#[test]
fn put_writes_nothing_into_a_file_that_somebody_else_has_laid_out() {
    if !rustix::process::getuid().is_root() {
        return eprintln!("skipped: only root can make files of others");
    }
    let place = Place::new("put-foreign");
    let (_agent, mut host) = start();
    let key = "fedcba9876543210";
    let part = place.path(&format!(".banger-part-{key}"));
    fs::write(&part, "bait").expect("a file");
    std::os::unix::fs::chown(&part, Some(12345), Some(12345)).expect("given away");
    let put = |uid: u32| json!({"kind": "put", "path": place.path("f"), "mode": 0o600, "uid": uid, "gid": 0, "mtimeMs": 0, "key": key});
    assert_eq!(host.request(put(0))["error"]["code"], json!("failed_precondition"));
    assert_eq!(fs::read(&part).expect("the file"), b"bait");
    // Whose the file will be may have begun it.
    let stream = host.open(put(12345));
    assert_eq!(send(&mut host, stream, b"his").result, json!({"ok": {"bytes": 3}}));
    assert_eq!(fs::metadata(place.path("f")).expect("the file").uid(), 12345);
}

#[test]
fn stat_says_what_a_path_is_and_where_it_leads() {
    let place = Place::new("stat");
    let (_agent, mut host) = start();
    place.sh("mkdir d; ln -s d l; mkfifo p; ln -s nowhere dangling");
    let mut stat =
        |name: &str, follow: bool| host.request(json!({"kind": "stat", "path": place.path(name), "follow": follow}));
    assert_eq!(stat("l", false)["ok"]["type"], json!("symlink"));
    let followed = stat("l/../l/.", true);
    assert_eq!((&followed["ok"]["type"], &followed["ok"]["path"]), (&json!("directory"), &json!(place.path("d"))));
    assert_eq!(stat("p", true)["ok"]["type"], json!("fifo"));
    assert_eq!(stat("dangling", true)["error"]["code"], json!("not_found"));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let (_agent, mut host) = start();
    for request in [
        json!({"kind": "tar-out", "paths": []}),
        json!({"kind": "tar-out", "paths": [{"path": "/", "name": "../x"}]}),
        json!({"kind": "tar-out", "paths": [{"path": "/", "name": "a//b"}]}),
        json!({"kind": "tar-out", "paths": [{"path": "relative", "name": "x"}]}),
        json!({"kind": "tar-in", "path": "/tmp", "uid": u32::MAX}),
        json!({"kind": "put", "path": "/tmp/x", "mode": 0, "mtimeMs": 0, "key": "short"}),
        json!({"kind": "put", "path": "/tmp/", "mode": 0, "mtimeMs": 0, "key": "0123456789abcdef"}),
        json!({"kind": "stat", "path": "x"}),
        json!({"kind": "dial"}),
        json!({"kind": "dial", "port": 0}),
        json!({"kind": "dial", "port": 1, "unix": "/x"}),
        json!({"kind": "dial", "address": "example.org", "port": 1}),
        json!({"kind": "listen", "unix": "relative"}),
    ] {
        assert_eq!(host.request(request.clone())["error"]["code"], json!("invalid_argument"), "{request}");
    }
}

#[test]
fn a_directory_keeps_its_time_though_a_name_in_it_is_another_one_of_a_file_elsewhere() {
    let place = Place::new("hard");
    place.sh("mkdir -p in/b; echo x > in/a; ln in/a in/b/c; touch -d @1000 in/b; touch -d @2000 in");
    let (_agent, mut host) = start();
    let archive = pack(&mut host, &place.path("in"), "out", json!({}));
    assert!(unpack(&mut host, &place.path(""), &archive.stdout)["ok"].is_object());
    assert_eq!(place.sh(&format!("cd in; {LISTING}")), place.sh(&format!("cd out; {LISTING}")));
}

#[test]
fn a_directory_of_sockets_only_takes_many_turns_and_comes_out_empty() {
    const NAMES: u64 = 3000;
    let place = Place::new("sockets");
    fs::create_dir(place.path("in")).expect("a directory");
    let socket = place.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for at in 0..NAMES {
        fs::hard_link(&socket, place.path(&format!("in/{at}"))).expect("another name");
    }
    let (_agent, mut host) = start();
    let answer = pack(&mut host, &place.path("in"), "in", json!({}));
    assert_eq!((&answer.result["ok"]["entries"], &answer.result["ok"]["noted"]), (&json!(1), &json!(NAMES)));
    // One header and the end.
    assert_eq!(answer.stdout.len(), 3 * 512);
}
