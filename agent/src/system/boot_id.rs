//! Which boot this is, as programs see it.
//!
//! The kernel makes `boot_id` up once and cannot be told another. A machine that goes on from a snapshot would show the one of the
//! machine that was saved, as would every other that goes on from there; so a file that the agent can write is mounted over it.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::io;
use rustix::mount::{MountFlags, mount_bind, mount_remount};

use crate::failure::{Code, OrFail, Outcome};
use crate::files::read_line;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Only while it is being mounted; on a file system of the agent's own.
const ASIDE: &str = "/run/.banger-boot-id";

/// The file over the kernel's own. Making it when the machine is set up saves the time when it is resumed.
#[derive(Debug)]
pub struct BootId {
    file: OwnedFd,
}

impl BootId {
    /// Mounts a file that says what the kernel says. `/proc` and `/run` are mounted.
    pub fn cover() -> Outcome<Self> {
        cover(&read_line(BOOT_ID)).or_fail(Code::Internal, format!("covering {BOOT_ID}"))
    }

    /// Shows `id`, a UUID like the one before, from now on.
    pub fn replace(&self, id: &str) -> Outcome<()> {
        io::pwrite(&self.file, id.as_bytes(), 0).map(drop).or_fail(Code::Internal, format!("replacing {BOOT_ID}"))
    }
}

fn cover(id: &str) -> io::Result<BootId> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, ASIDE, flags, Mode::from(0o444))?;
    // So few bytes are written whole, or not at all.
    io::write(&file, format!("{id}\n").as_bytes())?;
    mount_bind(ASIDE, BOOT_ID)?;
    // A mounted file needs no name.
    unlinkat(CWD, ASIDE, AtFlags::empty())?;
    mount_remount(BOOT_ID, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, "")?;
    Ok(BootId { file })
}
