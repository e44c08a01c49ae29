//! The files in `/etc` that the host decides: `hostname`, `hosts`, `machine-id`, `resolv.conf`.
//!
//! The image may be hostile. Its `/etc` is followed only within the root file system, and a file there is replaced, never
//! written through, so a symbolic link or a device in its place leads nowhere.

use std::fmt::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, ftruncate, openat, openat2, renameat, unlinkat,
};
use rustix::io::{self, Errno};

use crate::failure::{Code, OrFail, Outcome};
use crate::requests::{Configure, HostEntry, Resumed};

/// Writes them. The agent's root must be the machine's already.
pub fn write_etc(request: &Configure) -> Outcome<()> {
    let etc = open_etc().or_fail(Code::FailedPrecondition, "opening /etc")?;
    replace(&etc, "hostname", &format!("{}\n", request.hostname))?;
    replace(&etc, "hosts", &hosts_text(&request.hosts))?;
    if let Some(id) = &request.machine_id {
        replace(&etc, "machine-id", &format!("{id}\n"))?;
    }
    match request.nameservers.is_empty() {
        true => Ok(()),
        false => replace(&etc, "resolv.conf", &resolv_text(&request.nameservers, &request.search)),
    }
}

/// Replaces those that a resumed guest is given anew.
pub fn rewrite_etc(request: &Resumed) -> Outcome<()> {
    let etc = open_etc().or_fail(Code::FailedPrecondition, "opening /etc")?;
    if let Some(hostname) = &request.hostname {
        overwrite(&etc, "hostname", &format!("{hostname}\n"))?;
    }
    if let Some(hosts) = &request.hosts {
        overwrite(&etc, "hosts", &hosts_text(hosts))?;
    }
    if let Some(id) = &request.machine_id {
        overwrite(&etc, "machine-id", &format!("{id}\n"))?;
    }
    match request.nameservers.is_empty() {
        true => Ok(()),
        false => overwrite(&etc, "resolv.conf", &resolv_text(&request.nameservers, &request.search)),
    }
}

fn open_etc() -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let root = openat(CWD, "/", flags, Mode::empty())?;
    match openat2(&root, "etc", flags, Mode::empty(), resolve) {
        Err(Errno::NOENT) => rustix::fs::mkdirat(&root, "etc", Mode::from(0o755))?,
        result => return result,
    }
    openat2(&root, "etc", flags, Mode::empty(), resolve)
}

fn replace(etc: &OwnedFd, name: &str, text: &str) -> Outcome<()> {
    let doing = || format!("writing /etc/{name}");
    let aside = format!(".{name}.banger");
    // Usually it is not there.
    let _ = unlinkat(etc, aside.as_str(), AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(etc, aside.as_str(), flags, Mode::from(0o644)).or_fail(Code::FailedPrecondition, doing())?;
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let count = io::write(&file, rest).or_fail(Code::FailedPrecondition, doing())?;
        rest = &rest[count..];
    }
    renameat(etc, aside.as_str(), etc, name).or_fail(Code::FailedPrecondition, doing())
}

/// Writes into a file that is there, where it is a plain one. Making a new one takes the kernel many times as long, which a guest that
/// was just resumed under emulation feels most.
fn overwrite(etc: &OwnedFd, name: &str, text: &str) -> Outcome<()> {
    match overwrite_in_place(etc, name, text.as_bytes()) {
        Ok(true) => Ok(()),
        // Replacing it has the better words, too.
        Ok(false) | Err(_) => replace(etc, name, text),
    }
}

/// False for what is no plain file of this one name, and for one that could not be written whole.
fn overwrite_in_place(etc: &OwnedFd, name: &str, text: &[u8]) -> io::Result<bool> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(etc, name, flags, Mode::empty())?;
    let status = fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile || status.st_nlink != 1 {
        return Ok(false);
    }
    if io::write(&file, text)? != text.len() {
        return Ok(false);
    }
    if status.st_size as usize > text.len() {
        ftruncate(&file, text.len() as u64)?;
    }
    Ok(true)
}

fn hosts_text(hosts: &[HostEntry]) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_string();
    for entry in hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\t{}", entry.address, entry.names.join(" "));
    }
    text
}

fn resolv_text(nameservers: &[String], search: &[String]) -> String {
    let mut text = String::new();
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    for server in nameservers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}
