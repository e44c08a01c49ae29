//! `scan`: what is below a directory, one record a file, made as fast as it is taken. Nothing is opened but directories.

use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::walk::Level;
use crate::failure::{Code, Failure, Outcome};
use crate::requests::ScanRequest;
use crate::upload::failure;
use crate::wire::ByteQueue;

/// Directories inside each other.
const MAX_DEPTH: usize = 512;
/// Files that are looked at before the caller has something else to do: some give no bytes.
const STEPS: usize = 4096;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A scan under way.
#[derive(Debug)]
pub struct Scan {
    path: String,
    levels: Vec<Level>,
    pending: ByteQueue,
    entries: u64,
}

impl Scan {
    /// Opens the directory. Errors: `not_found`; `failed_precondition` for what is none.
    pub fn begin(request: &ScanRequest) -> Outcome<Self> {
        let path = request.path.clone();
        let failed = |errno| match errno {
            Errno::NOTDIR | Errno::LOOP => {
                Failure::new(Code::FailedPrecondition, format!("scanning {path}: it is no directory"))
            }
            errno => failure("scanning", &path, errno),
        };
        let root = openat(CWD, path.as_str(), DIRECTORY, Mode::empty()).map_err(failed)?;
        let (level, _) = Level::open(root, Vec::new(), &[]).map_err(failed)?;
        Ok(Scan { path, levels: vec![level], pending: ByteQueue::default(), entries: 0 })
    }

    /// Appends at most `max` bytes to `out`. It may be none although there is more.
    pub fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> Outcome<()> {
        let mut steps = 0;
        while self.pending.len() < max && !self.levels.is_empty() && steps < STEPS {
            steps += 1;
            self.advance()?;
        }
        let count = self.pending.len().min(max);
        out.extend_from_slice(&self.pending.as_slice()[..count]);
        self.pending.consume(count);
        Ok(())
    }

    /// Whether everything was taken.
    pub fn is_over(&self) -> bool {
        self.levels.is_empty() && self.pending.is_empty()
    }

    /// What was found.
    pub fn result(&self) -> Value {
        json!({"entries": self.entries})
    }

    fn advance(&mut self) -> Outcome<()> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        let Some((_, name)) = level.next() else {
            self.levels.pop();
            return Ok(());
        };
        let full = [&level.name[..], &name].concat();
        let directory = Rc::clone(&level.directory);
        let looked = statat(&directory, &name[..], AtFlags::SYMLINK_NOFOLLOW).and_then(|status| {
            if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
                return Ok((status, None));
            }
            if depth >= MAX_DEPTH {
                return Err(Errno::NAMETOOLONG);
            }
            let opened = openat(&directory, &name[..], DIRECTORY, Mode::empty())?;
            let below = Level::open(opened, [&full[..], b"/"].concat(), &self.levels)?.0;
            Ok((status, Some(below)))
        });
        match looked {
            Ok((status, below)) => {
                self.entries += 1;
                append_record(self.pending.tail(), &status, &full);
                self.levels.extend(below);
                Ok(())
            }
            // It vanished, or something else took its place, since the directory was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(errno) => {
                let name = String::from_utf8_lossy(&full).escape_debug().to_string();
                Err(failure("scanning", &format!("{}/{name}", self.path), errno))
            }
        }
    }
}

/// One record; protocol/README.md has its fields.
fn append_record(out: &mut Vec<u8>, status: &Stat, name: &[u8]) {
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        _ => b'o',
    };
    out.push(kind);
    out.extend_from_slice(&((status.st_mode & 0o7777) as u16).to_le_bytes());
    out.extend_from_slice(&(status.st_size as u64).to_le_bytes());
    for (seconds, nanoseconds) in
        [(status.st_mtime, status.st_mtime_nsec as u32), (status.st_ctime, status.st_ctime_nsec as u32)]
    {
        out.extend_from_slice(&seconds.to_le_bytes());
        out.extend_from_slice(&nanoseconds.to_le_bytes());
    }
    // A path below a depth of 512 has at most 512 * 256 bytes.
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name);
}
