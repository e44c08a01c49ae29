//! A file that is being written: what came of it waits beside its place under another name, and takes the place in one step.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, chownat, fchmod, fchown, mkdirat, open, openat, renameat, unlinkat};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::process::{Gid, Uid};

use crate::failure::{Code, Failure, Outcome, errno_words};
use crate::requests::WriteRequest;
use crate::wire::{ReceiveWindow, Violation};

/// Permissions of the directories that are made on the way, and of the file until it is whole.
const DIRECTORY_MODE: u32 = 0o700;
const UNFINISHED_MODE: u32 = 0o600;

/// One file under way. Dropped before `finish`, it leaves nothing but the directories that it has made.
#[derive(Debug)]
pub struct Upload {
    /// As asked for, for errors.
    path: String,
    name: String,
    mode: u32,
    owner: (Uid, Gid),
    directory: OwnedFd,
    /// The name until it is whole.
    temporary: String,
    file: OwnedFd,
    moved: bool,
    window: ReceiveWindow,
    bytes: u64,
}

/// What became of a piece.
#[derive(Debug)]
pub enum Piece {
    /// It was written. The credit to return, if that is worth a frame.
    Written(Option<u32>),
    /// It could not be; the upload is over.
    Failed(Failure),
}

impl Upload {
    /// Makes the directories that are missing, and an empty file beside the place of the new one. `serial` is unique in this
    /// agent.
    pub fn begin(request: &WriteRequest, serial: u64) -> Outcome<Self> {
        let owner = (Uid::from_raw(request.uid), Gid::from_raw(request.gid));
        let (directories, name) = request.split();
        let failed = |errno| failure("writing", &request.path, errno);
        let directory = open_directories(directories, owner).map_err(failed)?;
        let temporary = format!(".banger-write-{}-{serial}", std::process::id());
        let file = create(&directory, &temporary).map_err(failed)?;
        Ok(Upload {
            path: request.path.clone(),
            name: name.to_string(),
            mode: request.mode,
            owner,
            directory,
            temporary,
            file,
            moved: false,
            window: ReceiveWindow::default(),
            bytes: 0,
        })
    }

    /// Writes what came; a violation if the sender had no credit for it.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Piece, Violation> {
        self.window.receive(bytes.len())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match retry_on_intr(|| write(&self.file, rest)) {
                Ok(count) if count > 0 => rest = &rest[count..],
                end => {
                    let errno = end.err().unwrap_or(Errno::IO);
                    return Ok(Piece::Failed(failure("writing", &self.path, errno)));
                }
            }
        }
        self.bytes += bytes.len() as u64;
        Ok(Piece::Written(self.window.consume(bytes.len())))
    }

    /// Puts the file in its place, with its mode and owner. A symbolic link there is replaced, as any other file is. Returns
    /// its size.
    pub fn finish(mut self) -> Outcome<u64> {
        self.place().map_err(|errno| failure("putting in place", &self.path, errno))?;
        Ok(self.bytes)
    }

    fn place(&mut self) -> rustix::io::Result<()> {
        let (uid, gid) = self.owner;
        // The owner first, because a change of it takes set-user-ID away.
        fchown(&self.file, Some(uid), Some(gid))?;
        fchmod(&self.file, Mode::from(self.mode))?;
        renameat(&self.directory, self.temporary.as_str(), &self.directory, self.name.as_str())?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.moved {
            // Somebody in the guest may have removed it, or its directory.
            let _ = unlinkat(&self.directory, self.temporary.as_str(), AtFlags::empty());
        }
    }
}

/// Opens the innermost directory. Links on the way are followed; what is missing is made.
fn open_directories<'a>(parts: impl Iterator<Item = &'a str>, (uid, gid): (Uid, Gid)) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = open("/", flags, Mode::empty())?;
    for part in parts {
        directory = match openat(&directory, part, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                mkdirat(&directory, part, Mode::from(DIRECTORY_MODE))?;
                let made = openat(&directory, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
                // Not by its name, which may be another file's by now.
                chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
                made
            }
            other => other?,
        };
    }
    Ok(directory)
}

fn create(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let create = || openat(directory, name, flags, Mode::from(UNFINISHED_MODE));
    match create() {
        // Of an agent that had this number and was cut off in the midst of it.
        Err(Errno::EXIST) => {
            unlinkat(directory, name, AtFlags::empty())?;
            create()
        }
        other => other,
    }
}

pub(crate) fn failure(doing: &str, path: &str, errno: Errno) -> Failure {
    let code = match errno {
        Errno::NOENT => Code::NotFound,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Code::PermissionDenied,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::MFILE | Errno::NFILE => Code::ResourceExhausted,
        Errno::ISDIR | Errno::NOTDIR | Errno::EXIST | Errno::LOOP | Errno::BUSY => Code::FailedPrecondition,
        Errno::NAMETOOLONG | Errno::INVAL => Code::InvalidArgument,
        _ => Code::Internal,
    };
    Failure::new(code, format!("{doing} {path}: {}", errno_words(errno.into())))
}
