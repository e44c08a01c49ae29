//! A regular file of an archive: written under another name, holes left out, and put in its place in one step.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ftruncate, openat, unlinkat};
use rustix::io::{Errno, pwrite, retry_on_intr};

use super::member::Member;
use super::sparse::{MapReader, Piece};

const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A file under way, in the directory that its caller knows.
#[derive(Debug)]
pub struct FileIn {
    file: OwnedFd,
    size: u64,
    /// The pieces that are left, last first, once the map is known; a file without holes is one piece.
    pieces: Option<Vec<Piece>>,
    map: MapReader,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Fault {
    /// The kernel refused.
    Errno(Errno),
    /// The archive lies.
    Archive(&'static str),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Fault::Errno(errno)
    }
}

impl FileIn {
    /// Makes an empty file named `temporary`.
    pub fn create(directory: impl AsFd, temporary: &str, member: &Member) -> Result<Self, Errno> {
        let directory = directory.as_fd();
        let create = || openat(directory, temporary, NEW, Mode::from(0o600));
        let file = match create() {
            // Of an agent that had this number and was cut off in the midst of it.
            Err(Errno::EXIST) => {
                unlinkat(directory, temporary, rustix::fs::AtFlags::empty())?;
                create()
            }
            other => other,
        }?;
        Ok(FileIn::new(file, member))
    }

    /// Makes an empty file with its own name and, as far as the process's umask lets through, permissions. `EXIST` when the name is
    /// taken.
    pub fn create_in_place(directory: impl AsFd, name: &[u8], (member, mode): (&Member, u32)) -> Result<Self, Errno> {
        Ok(FileIn::new(openat(directory.as_fd(), name, NEW, Mode::from(mode))?, member))
    }

    fn new(file: OwnedFd, member: &Member) -> Self {
        let size = member.sparse.unwrap_or(member.size);
        let pieces = member.sparse.is_none().then(|| vec![(0, size)]);
        FileIn { file, size, pieces, map: MapReader::default() }
    }

    /// Writes a piece of the content.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        if self.pieces.is_none() {
            let map = self.map.read(&mut bytes, self.size).map_err(Fault::Archive)?;
            self.pieces = map.map(|mut pieces| {
                pieces.reverse();
                pieces
            });
        }
        let Some(pieces) = &mut self.pieces else {
            return Ok(());
        };
        while !bytes.is_empty() {
            let Some((at, left)) = pieces.last_mut() else {
                return Err(Fault::Archive("it has more content than its map says"));
            };
            if *left == 0 {
                pieces.pop();
                continue;
            }
            let length = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            match retry_on_intr(|| pwrite(&self.file, &bytes[..length], *at))? {
                0 => return Err(Fault::Errno(Errno::IO)),
                count => {
                    *at += count as u64;
                    *left -= count as u64;
                    bytes = &bytes[count..];
                }
            }
        }
        Ok(())
    }

    /// Checks that all content came and makes holes at the end. The file is open still.
    pub fn complete(&mut self) -> Result<&OwnedFd, Fault> {
        let missing = self.pieces.as_ref().is_none_or(|pieces| pieces.iter().any(|(_, left)| *left > 0));
        if missing {
            return Err(Fault::Archive("it has less content than its map says"));
        }
        if self.map.stored_bytes() > 0 {
            ftruncate(&self.file, self.size)?;
        }
        Ok(&self.file)
    }
}
