//! The directory that an archive is unpacked into. Every name is walked from it without following a link, so that none leaves it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fgetxattr, fstat, mkdirat, open, openat};
use rustix::io::Errno;

use super::attributes::Rules;
use super::member::Member;
use crate::failure::{Code, Failure, Outcome};
use crate::upload::failure;

/// Directories inside each other.
const MAX_DEPTH: usize = 512;
/// Permissions of directories that the archive does not describe, and of the others until all is in them.
const DIRECTORY_MODE: u32 = 0o755;
const UNFINISHED_MODE: u32 = 0o700;
const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The destination, and the open directories down to the last member.
#[derive(Debug)]
pub struct Place {
    /// As asked for, for errors.
    path: String,
    root: OwnedFd,
    levels: Vec<Level>,
    rules: Rules,
}

#[derive(Debug)]
struct Level {
    name: Vec<u8>,
    directory: OwnedFd,
    /// What is put on it when it is left, for then nothing changes its time any more.
    member: Option<Member>,
    /// Nobody but root enters it before it is left, and what is made in it is root's and has the mode that it is made with.
    fresh: bool,
}

impl Place {
    /// Opens the destination, which exists; links to it are followed.
    pub fn open(path: &str, rules: Rules) -> Outcome<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(|errno| failure("opening", path, errno))?;
        Ok(Place { path: path.to_string(), root, levels: Vec::new(), rules })
    }

    /// The directory of a member with these components, and its last one. Missing directories are made.
    pub fn enter<'a>(&mut self, components: &[&'a [u8]]) -> Outcome<(BorrowedFd<'_>, &'a [u8])> {
        let Some((&name, parents)) = components.split_last() else {
            return Err(Failure::new(Code::InvalidArgument, "the archive has a member without a name"));
        };
        self.leave_to(parents)?;
        for (depth, &parent) in parents.iter().enumerate().skip(self.levels.len()) {
            // Below a directory that nobody else enters yet, nobody else enters this one either.
            let hidden = self.is_fresh();
            let opened = self.open_level(parent, DIRECTORY_MODE).and_then(|(directory, made)| {
                let fresh = hidden && made && is_plain(&directory)?;
                Ok(Level { name: parent.to_vec(), directory, member: None, fresh })
            });
            let level = opened.map_err(|errno| self.refuse(&parents[..=depth], errno))?;
            self.levels.push(level);
        }
        Ok((self.directory(), name))
    }

    /// The directory of a member that was made before, and its name there. The directories that are open stay so: leaving
    /// one would be too early for its time.
    pub fn find<'a>(&self, components: &[&'a [u8]]) -> Outcome<(OwnedFd, &'a [u8])> {
        let Some((&name, parents)) = components.split_last() else {
            return Err(Failure::new(Code::InvalidArgument, "the archive has a link to nothing"));
        };
        let start = openat(&self.root, ".", OPEN_DIRECTORY, Mode::empty());
        let start = start.map_err(|errno| self.refuse(&[], errno))?;
        let mut parents = parents.iter();
        let found =
            parents.try_fold(start, |directory, &parent| openat(&directory, parent, OPEN_DIRECTORY, Mode::empty()));
        found.map(|directory| (directory, name)).map_err(|errno| self.refuse(components, errno))
    }

    /// Makes the directory that `member` describes, or takes the one that is there; members of it may follow.
    pub fn make_directory(&mut self, components: &[&[u8]], member: Member) -> Outcome<()> {
        // The destination itself stays as it is.
        let Some((&name, _)) = components.split_last() else {
            return Ok(());
        };
        self.enter(components)?;
        let (directory, made) =
            self.open_level(name, UNFINISHED_MODE).map_err(|errno| self.refuse(components, errno))?;
        let fresh = made && is_plain(&directory).map_err(|errno| self.refuse(components, errno))?;
        self.levels.push(Level { name: name.to_vec(), directory, member: Some(member), fresh });
        Ok(())
    }

    /// Whether the directory that was entered last is one of this archive's own that is not finished yet: a file may have its
    /// name there before it is whole.
    pub fn is_fresh(&self) -> bool {
        self.levels.last().is_some_and(|level| level.fresh)
    }

    /// Leaves every directory.
    pub fn finish(&mut self) -> Outcome<()> {
        self.leave_to(&[])
    }

    /// An error about a member.
    pub fn refuse(&self, components: &[&[u8]], errno: Errno) -> Failure {
        let name = components.join(&b'/');
        let path = format!("{}/{}", self.path.trim_end_matches('/'), String::from_utf8_lossy(&name).escape_debug());
        match errno {
            Errno::LOOP | Errno::NOTDIR => {
                let message = format!("{path} is a symbolic link or no directory, and is not followed");
                Failure::new(Code::FailedPrecondition, message)
            }
            errno => failure("unpacking", &path, errno),
        }
    }

    fn directory(&self) -> BorrowedFd<'_> {
        self.levels.last().map_or(self.root.as_fd(), |level| level.directory.as_fd())
    }

    /// Opens a directory of the innermost one, and says whether it had to be made.
    fn open_level(&self, name: &[u8], mode: u32) -> Result<(OwnedFd, bool), Errno> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let directory = self.directory();
        match openat(directory, name, OPEN_DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                mkdirat(directory, name, Mode::from(mode))?;
                let made = openat(directory, name, OPEN_DIRECTORY, Mode::empty())?;
                if let Some((uid, gid)) = self.rules.owner {
                    let (uid, gid) = (rustix::process::Uid::from_raw(uid), rustix::process::Gid::from_raw(gid));
                    rustix::fs::fchown(&made, Some(uid), Some(gid))?;
                }
                Ok((made, true))
            }
            other => other.map(|directory| (directory, false)),
        }
    }

    /// Leaves the directories that `parents` are not in.
    fn leave_to(&mut self, parents: &[&[u8]]) -> Outcome<()> {
        let same = self.levels.iter().zip(parents).take_while(|(level, name)| level.name == **name).count();
        while self.levels.len() > same {
            let Some(Level { name, directory, member, .. }) = self.levels.pop() else {
                break;
            };
            if let Some(member) = member {
                self.rules.apply(&directory, &member).map_err(|errno| self.refuse(&[&name], errno))?;
            }
        }
        Ok(())
    }
}

/// Whether nothing of a directory is handed down to what is made in it: neither its group nor a default ACL (acl(5)).
fn is_plain(directory: &OwnedFd) -> Result<bool, Errno> {
    let inherits_group = Mode::from_raw_mode(fstat(directory)?.st_mode).contains(Mode::SGID);
    let acl = fgetxattr(directory, "system.posix_acl_default", &mut [0u8; 0][..]);
    Ok(!inherits_group && matches!(acl, Err(Errno::NODATA | Errno::OPNOTSUPP)))
}

/// The components of a member's name. `invalid_argument` for one that would leave the destination.
pub fn components(name: &[u8]) -> Outcome<Vec<&[u8]>> {
    let parts: Vec<&[u8]> = name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) || name.contains(&0) {
        let shown = String::from_utf8_lossy(name);
        let message = format!("the archive has a member named {:?}, which would leave its place", &*shown);
        return Err(Failure::new(Code::InvalidArgument, message));
    }
    Ok(parts)
}

/// A name in the archive: relative, or `.` for what is in a directory. Errors: `invalid_argument`.
pub fn check_name(name: &str) -> Outcome<()> {
    match name == "." || (components(name.as_bytes())?.join(&b'/') == name.as_bytes() && !name.is_empty()) {
        true => Ok(()),
        false => Err(Failure::new(Code::InvalidArgument, format!("tar-out: {name:?} is no name of a member"))),
    }
}
