//! Owner, permissions, times and extended attributes of what is made or read.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT, chownat, fchmod, fchown, fgetxattr, flistxattr};
use rustix::fs::{FileType, OFlags, Stat, XattrFlags, fsetxattr, fstat, futimens, openat, utimensat};
use rustix::io::{Errno, Result};
use rustix::process::{Gid, Uid};

use super::member::{Kind, Member};

/// Bytes of names and of one value that the kernel allows (XATTR_LIST_MAX, XATTR_SIZE_MAX of limits.h).
const MAX_XATTR: usize = 65_536;

/// How members become files of this guest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Everything belongs to this user and group; absent: to whom the archive says.
    pub owner: Option<(u32, u32)>,
    /// Set-user-ID and set-group-ID bits, device nodes and extended attributes are kept.
    pub special: bool,
}

impl Rules {
    /// The owner of a member.
    pub fn owner_of(&self, member: &Member) -> (u32, u32) {
        self.owner.unwrap_or((member.uid, member.gid))
    }

    /// The permissions of a member.
    pub fn mode_of(&self, member: &Member) -> u32 {
        member.mode & if self.special { 0o7777 } else { 0o1777 }
    }

    /// Puts everything but the content on an open file or directory.
    pub fn apply(&self, file: impl AsFd, member: &Member) -> Result<()> {
        let (file, (uid, gid)) = (file.as_fd(), self.owner_of(member));
        // The owner first, because a change of it takes set-user-ID away.
        fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        fchmod(file, Mode::from(self.mode_of(member)))?;
        if self.special {
            set_xattrs(file, &member.xattrs)?;
        }
        futimens(file, &timestamps(member.mtime))
    }

    /// The same on a file that root has made with these permissions where nothing is handed down to it.
    pub fn apply_to_made(&self, file: impl AsFd, member: &Member) -> Result<()> {
        let (file, (uid, gid)) = (file.as_fd(), self.owner_of(member));
        if (uid, gid) != (0, 0) || self.special {
            return self.apply(file, member);
        }
        futimens(file, &timestamps(member.mtime))
    }

    /// Puts owner and time on what cannot be opened, a link or a device, which was just made. `BUSY`: whoever else may write to the directory
    /// has put another thing there, perhaps another name of a file that is not his.
    pub fn apply_at(&self, directory: impl AsFd, name: &[u8], member: &Member) -> Result<()> {
        let (directory, (uid, gid)) = (directory.as_fd(), self.owner_of(member));
        let made = openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let status = fstat(&made)?;
        if FileType::from_raw_mode(status.st_mode) != member.kind.file_type() || status.st_nlink != 1 {
            return Err(Errno::BUSY);
        }
        chownat(&made, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)?;
        utimensat(directory, name, &timestamps(member.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Only the modification is set.
pub fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds.min(999_999_999)) };
    Timestamps { last_access, last_modification }
}

/// A member with what `status` says.
pub fn describe(name: Vec<u8>, kind: Kind, size: u64, status: &Stat) -> Member {
    let mut member = Member::new(name, kind, size);
    member.mode = status.st_mode & 0o7777;
    (member.uid, member.gid) = (status.st_uid, status.st_gid);
    member.mtime = (status.st_mtime, status.st_mtime_nsec as u32);
    member
}

/// The extended attributes of an open file that mean something elsewhere.
pub fn read_xattrs(file: impl AsFd) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let file = file.as_fd();
    let mut names = [0; MAX_XATTR];
    let length = match flistxattr(file, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let mut found = Vec::new();
    for name in names[..length].split(|&byte| byte == 0).filter(|name| is_portable(name)) {
        let mut value = vec![0; MAX_XATTR];
        match fgetxattr(file, name, &mut value[..]) {
            Ok(length) => value.truncate(length),
            // Removed since it was listed.
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(errno),
        }
        found.push((name.to_vec(), value));
    }
    Ok(found)
}

fn set_xattrs(file: impl AsFd, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let file = file.as_fd();
    for (name, value) in xattrs.iter().filter(|(name, _)| is_portable(name)) {
        match fsetxattr(file, &name[..], value, XattrFlags::empty()) {
            // A file system without them takes the rest.
            Err(Errno::OPNOTSUPP) => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

/// `trusted.` belongs to the overlay, `security.` but for capabilities to the host's own policy.
fn is_portable(name: &[u8]) -> bool {
    [&b"user."[..], b"system.posix_acl_"].iter().any(|prefix| name.starts_with(prefix))
        || name == b"security.capability"
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, linkat, mknodat, open, symlinkat};

    #[test]
    fn apply_at_touches_nothing_but_what_was_made() {
        let path = std::env::temp_dir().join(format!("banger-apply-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        std::fs::write(path.join("precious"), "x").expect("a file");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(&path, flags, Mode::empty()).expect("a directory");
        let own = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let rules = Rules { owner: Some(own), special: false };
        let apply = |name: &str, kind| rules.apply_at(&directory, name.as_bytes(), &Member::new(name.into(), kind, 0));
        mknodat(&directory, "fifo", FileType::Fifo, Mode::from(0o600), 0).expect("a fifo");
        symlinkat("precious", &directory, "link").expect("a link");
        linkat(&directory, "precious", &directory, "again", AtFlags::empty()).expect("a second name");
        assert_eq!((apply("fifo", Kind::Fifo), apply("link", Kind::Symlink)), (Ok(()), Ok(())));
        for (name, kind) in [("again", Kind::Fifo), ("link", Kind::Fifo), ("fifo", Kind::Symlink)] {
            assert_eq!(apply(name, kind), Err(Errno::BUSY), "{name}");
        }
        linkat(CWD, path.join("fifo"), &directory, "fifo2", AtFlags::empty()).expect("a second name");
        assert_eq!(apply("fifo2", Kind::Fifo), Err(Errno::BUSY));
        std::fs::remove_dir_all(path).expect("removed");
    }
}
