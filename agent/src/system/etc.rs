//! The files in `/etc` that the host decides: `hostname`, `hosts`, `resolv.conf`.
//!
//! The image may be hostile. Its `/etc` is followed only within the root file system, and a file there is replaced, never
//! written through, so a symbolic link or a device in its place leads nowhere.

use std::fmt::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, openat, openat2, renameat, unlinkat};
use rustix::io::{self, Errno};

use crate::failure::{Code, OrFail, Outcome};
use crate::requests::Configure;

/// Writes them. The agent's root must be the machine's already.
pub fn write_etc(request: &Configure) -> Outcome<()> {
    let etc = open_etc().or_fail(Code::FailedPrecondition, "opening /etc")?;
    replace(&etc, "hostname", &format!("{}\n", request.hostname))?;
    replace(&etc, "hosts", &hosts_text(request))?;
    if !request.nameservers.is_empty() {
        replace(&etc, "resolv.conf", &resolv_text(request))?;
    }
    Ok(())
}

/// Replaces only `hostname`.
pub fn write_hostname(hostname: &str) -> Outcome<()> {
    let etc = open_etc().or_fail(Code::FailedPrecondition, "opening /etc")?;
    replace(&etc, "hostname", &format!("{hostname}\n"))
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

fn hosts_text(request: &Configure) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_string();
    for entry in &request.hosts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}\t{}", entry.address, entry.names.join(" "));
    }
    text
}

fn resolv_text(request: &Configure) -> String {
    let mut text = String::new();
    if !request.search.is_empty() {
        let _ = writeln!(text, "search {}", request.search.join(" "));
    }
    for server in &request.nameservers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}
