//! Attributes of files: on the wire, and put on a file.

use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Stat, Timespec, Timestamps, chmodat, chownat, fchmod, fchown, ftruncate, futimens,
    openat, utimensat,
};
use rustix::process::{Gid, Uid};

use super::fields::{Fields, Malformed};
use super::reply::{Refusal, Reply};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

/// What a client wants of a file; absent parts stay as they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Bytes.
    pub size: Option<u64>,
    /// User and group.
    pub owner: Option<(u32, u32)>,
    /// Permissions.
    pub mode: Option<u32>,
    /// Access and modification, Unix seconds.
    pub times: Option<(u32, u32)>,
}

/// Which file.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An open one.
    Open(BorrowedFd<'a>),
    /// What a path leads to.
    Path(&'a [u8]),
    /// What is at a path, a link too.
    Link(&'a [u8]),
}

impl Wish {
    /// Reads attributes to their end.
    pub fn read(fields: &mut Fields) -> Result<Self, Malformed> {
        let flags = fields.u32()?;
        let mut wish = Wish::default();
        if flags & SIZE != 0 {
            wish.size = Some(fields.u64()?);
        }
        if flags & OWNER != 0 {
            wish.owner = Some((fields.u32()?, fields.u32()?));
        }
        if flags & PERMISSIONS != 0 {
            wish.mode = Some(fields.u32()? & 0o7777);
        }
        if flags & TIMES != 0 {
            wish.times = Some((fields.u32()?, fields.u32()?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..fields.u32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(wish)
    }

    /// Puts them on a file. The owner goes before the permissions, because a change of it takes set-user-ID away.
    pub fn apply(&self, target: Target) -> Result<(), Refusal> {
        if let Some(size) = self.size {
            match target {
                Target::Open(file) => ftruncate(file, size)?,
                Target::Path(path) => {
                    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
                    ftruncate(openat(CWD, path, flags, Mode::empty())?, size)?;
                }
                Target::Link(_) => return Err(Refusal::failure("the size of a link cannot be set")),
            }
        }
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            match target {
                Target::Open(file) => fchown(file, uid, gid)?,
                Target::Path(path) => chownat(CWD, path, uid, gid, AtFlags::empty())?,
                Target::Link(path) => chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?,
            }
        }
        if let Some(mode) = self.mode {
            let mode = Mode::from_raw_mode(mode);
            match target {
                Target::Open(file) => fchmod(file, mode)?,
                Target::Path(path) => chmodat(CWD, path, mode, AtFlags::empty())?,
                Target::Link(path) => chmodat(CWD, path, mode, AtFlags::SYMLINK_NOFOLLOW)?,
            }
        }
        if let Some((access, modification)) = self.times {
            let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
            let times = Timestamps { last_access: at(access), last_modification: at(modification) };
            match target {
                Target::Open(file) => futimens(file, &times)?,
                Target::Path(path) => utimensat(CWD, path, &times, AtFlags::empty())?,
                Target::Link(path) => utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?,
            }
        }
        Ok(())
    }
}

/// Appends the attributes of a file. Times outside of 32 bits are cut to what fits.
pub fn write<'a>(reply: Reply<'a>, status: &Stat) -> Reply<'a> {
    let seconds = |value: i64| value.clamp(0, u32::MAX.into()) as u32;
    reply
        .u32(SIZE | OWNER | PERMISSIONS | TIMES)
        .u64(status.st_size as u64)
        .u32(status.st_uid)
        .u32(status.st_gid)
        .u32(status.st_mode)
        .u32(seconds(status.st_atime))
        .u32(seconds(status.st_mtime))
}
