//! `tar-out`: files and trees of the guest become an archive, made as fast as it is taken.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, major, minor, openat, readlinkat, statat};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::attributes::{describe, read_xattrs};
use super::content::Content;
use super::linked::Linked;
use super::member::{Kind, Member};
use super::roots::{Root, roots_below, roots_of};
use super::sparse::{find_pieces, format_map};
use super::walk::Level;
use super::{BLOCK, padding};
use crate::failure::Outcome;
use crate::requests::{NamesRequest, TarEntry, TarOutRequest};
use crate::upload::failure;
use crate::wire::ByteQueue;

/// Directories inside each other.
const MAX_DEPTH: usize = 512;
/// Files that are looked at before the caller has something else to do: some give no bytes.
const STEPS: usize = 1024;
/// Messages of the result.
const MAX_NOTES: usize = 32;

/// An archive under way.
#[derive(Debug)]
pub struct TreeOut {
    roots: VecDeque<Root>,
    follow: bool,
    special: bool,
    /// Every file is one of its own, holes written out; what has vanished is left out.
    plain: bool,
    levels: Vec<Level>,
    /// Headers and padding to send before anything else.
    pending: ByteQueue,
    file: Option<Content>,
    linked: Linked,
    ended: bool,
    entries: u64,
    bytes: u64,
    notes: Vec<String>,
    noted: u64,
}

impl TreeOut {
    /// Checks that the paths are there. Errors: `not_found`, naming the path.
    pub fn begin(request: TarOutRequest) -> Outcome<Self> {
        for TarEntry { path, .. } in &request.paths {
            let flags = if request.follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
            statat(CWD, path.as_str(), flags).map_err(|errno| failure("reading", path, errno))?;
        }
        Ok(TreeOut::new(roots_of(request.paths), request.follow, request.special))
    }

    /// Files below a directory under their names there; those that are gone are left out, and noted.
    pub fn pick(request: &NamesRequest) -> Outcome<Self> {
        let mut tree = TreeOut::new(roots_below(request)?, false, false);
        tree.plain = true;
        Ok(tree)
    }

    fn new(roots: VecDeque<Root>, follow: bool, special: bool) -> Self {
        TreeOut {
            roots,
            follow,
            special,
            plain: false,
            levels: Vec::new(),
            pending: ByteQueue::default(),
            file: None,
            linked: Linked::default(),
            ended: false,
            entries: 0,
            bytes: 0,
            notes: Vec::new(),
            noted: 0,
        }
    }

    /// Appends at most `max` bytes to `out`. It may be none although there is more.
    pub fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> Outcome<()> {
        let (end, mut steps) = (out.len() + max, 0);
        while out.len() < end && steps < STEPS {
            if !self.pending.is_empty() {
                let count = self.pending.len().min(end - out.len());
                out.extend_from_slice(&self.pending.as_slice()[..count]);
                self.pending.consume(count);
            } else if self.file.is_some() {
                self.content(out, end)?;
            } else if self.ended {
                break;
            } else {
                steps += 1;
                self.advance()?;
            }
        }
        Ok(())
    }

    /// Whether everything was taken.
    pub fn is_over(&self) -> bool {
        self.ended && self.pending.is_empty()
    }

    /// What was sent, and what was left out.
    pub fn result(&self) -> Value {
        json!({"entries": self.entries, "bytes": self.bytes, "notes": self.notes, "noted": self.noted})
    }

    /// The next member, or the end of a directory or of the archive.
    fn advance(&mut self) -> Outcome<()> {
        let Some(level) = self.levels.last_mut() else {
            match self.roots.pop_front() {
                Some(Root { path, name }) => {
                    return match self.add(None, &path, name.clone(), FileType::Unknown) {
                        Err(Errno::NOENT | Errno::NOTDIR) if self.plain => {
                            self.note(&name, "it vanished meanwhile");
                            Ok(())
                        }
                        added => added.map_err(|errno| failure("reading", &String::from_utf8_lossy(&path), errno)),
                    };
                }
                None => {
                    self.ended = true;
                    self.pending.push(&[0; 2 * BLOCK]);
                }
            }
            return Ok(());
        };
        let Some((kind, name)) = level.next() else {
            self.levels.pop();
            return Ok(());
        };
        let full = [&level.name[..], &name].concat();
        let directory = Rc::clone(&level.directory);
        match self.add(Some(directory.as_fd()), &name, full.clone(), kind) {
            Ok(()) => Ok(()),
            Err(Errno::NOENT) => {
                self.note(&full, "it vanished meanwhile");
                Ok(())
            }
            Err(errno) => Err(failure("reading", &String::from_utf8_lossy(&full).escape_debug().to_string(), errno)),
        }
    }

    /// Adds the file `name` of `directory` (absent: a path of the guest) as `full`.
    fn add(&mut self, directory: Option<BorrowedFd>, name: &[u8], full: Vec<u8>, kind: FileType) -> Result<(), Errno> {
        let fd = directory.unwrap_or(CWD);
        let (nofollow, at) = match self.follow {
            true => (OFlags::empty(), AtFlags::empty()),
            false => (OFlags::NOFOLLOW, AtFlags::SYMLINK_NOFOLLOW),
        };
        let known = kind != FileType::Unknown && !(self.follow && kind == FileType::Symlink);
        let (kind, status) = match known && kind != FileType::Symlink {
            true => (kind, None),
            false => {
                let status = statat(fd, name, at)?;
                (FileType::from_raw_mode(status.st_mode), Some(status))
            }
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | nofollow;
        match (kind, status) {
            (FileType::Directory, _) => {
                let opened = openat(fd, name, flags | OFlags::DIRECTORY, Mode::empty())?;
                self.enter(opened, full)
            }
            (FileType::RegularFile, _) => {
                let file = openat(fd, name, flags, Mode::empty())?;
                let status = fstat(&file)?;
                // Somebody put another thing in its place since it was looked at.
                match FileType::from_raw_mode(status.st_mode) {
                    FileType::RegularFile => self.open_file(file, &status, full),
                    _ => Err(Errno::NOENT),
                }
            }
            (FileType::Symlink, Some(status)) => {
                let mut member = describe(full, Kind::Symlink, 0, &status);
                member.link = readlinkat(fd, name, Vec::new())?.into_bytes();
                self.header(&member);
                Ok(())
            }
            (FileType::Fifo, Some(status)) => {
                self.header(&describe(full, Kind::Fifo, 0, &status));
                Ok(())
            }
            (FileType::CharacterDevice | FileType::BlockDevice, Some(status)) if self.special => {
                let kind = if kind == FileType::BlockDevice { Kind::Block } else { Kind::Character };
                let mut member = describe(full, kind, 0, &status);
                member.device = (major(status.st_rdev), minor(status.st_rdev));
                self.header(&member);
                Ok(())
            }
            (FileType::Socket, _) => {
                self.note(&full, "a socket is not copied");
                Ok(())
            }
            _ => {
                self.note(&full, "a device is not copied");
                Ok(())
            }
        }
    }

    fn enter(&mut self, directory: OwnedFd, mut full: Vec<u8>) -> Result<(), Errno> {
        if self.levels.len() >= MAX_DEPTH {
            return Err(Errno::NAMETOOLONG);
        }
        let xattrs = if self.special { read_xattrs(&directory)? } else { Vec::new() };
        if full != b"." {
            full.push(b'/');
        }
        let prefix = if full == b"." { Vec::new() } else { full.clone() };
        let (level, status) = Level::open(directory, prefix, &self.levels)?;
        if self.follow && self.levels.iter().any(|above| above.identity == level.identity) {
            return Err(Errno::LOOP);
        }
        let mut member = describe(full, Kind::Directory, 0, &status);
        member.xattrs = xattrs;
        self.header(&member);
        self.levels.push(level);
        Ok(())
    }

    fn open_file(&mut self, file: OwnedFd, status: &Stat, full: Vec<u8>) -> Result<(), Errno> {
        let size = status.st_size as u64;
        let mut member = describe(full.clone(), Kind::File, size, status);
        if status.st_nlink > 1
            && !self.plain
            && let Some(first) = self.linked.first(status, &full)
        {
            (member.kind, member.size, member.link) = (Kind::HardLink, 0, first.to_vec());
            self.header(&member);
            return Ok(());
        }
        if self.special {
            member.xattrs = read_xattrs(&file)?;
        }
        let mut pieces = vec![(0, size)];
        let mut map = Vec::new();
        // Blocks of 512 bytes, whatever the file system's own are (stat(2)).
        if (status.st_blocks as u64) * 512 < size && !self.plain {
            pieces = find_pieces(&file, size)?;
            map = format_map(&pieces, size);
            member.sparse = Some(size);
            member.size = map.len() as u64 + pieces.iter().map(|piece| piece.1).sum::<u64>();
        }
        self.header(&member);
        self.pending.push(&map);
        if member.size > 0 {
            let padding = padding(member.size);
            self.file = Some(Content { file, name: full, pieces: pieces.into(), padding, cut: false });
        }
        Ok(())
    }

    /// Sends some of the file under way.
    fn content(&mut self, out: &mut Vec<u8>, end: usize) -> Outcome<()> {
        let Some(content) = &mut self.file else {
            return Ok(());
        };
        let from = out.len();
        let whole = content.fill(out, end)?;
        self.bytes += (out.len() - from) as u64;
        if whole && let Some(content) = self.file.take() {
            self.pending.push(&[0; BLOCK][..content.padding]);
            if content.cut {
                self.note(&content.name, "it became shorter while it was read");
            }
        }
        Ok(())
    }

    fn header(&mut self, member: &Member) {
        self.entries += 1;
        member.append_to(self.pending.tail());
    }

    fn note(&mut self, name: &[u8], what: &str) {
        self.noted += 1;
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{}: {what}", String::from_utf8_lossy(name).escape_debug()));
        }
    }
}
