//! `splice`: a file is made anew of pieces of itself and of what comes, so that a small change of a large file stays small.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, Stat, fchmod, fstat, open, openat, renameat, unlinkat};
use rustix::io::{Errno, pread, retry_on_intr, write};
use serde_json::Value;

use super::change::file_time;
use crate::failure::{Code, Failure, Outcome};
use crate::requests::SpliceRequest;
use crate::upload::failure;
use crate::wire::ByteQueue;

/// Bytes of the head of a piece: its kind, where it begins, how long it is.
const HEAD: usize = 17;
/// Bytes moved at once.
const CHUNK: usize = 64 * 1024;

/// A file under way. Dropped before `finish`, it leaves nothing.
#[derive(Debug)]
pub struct Splice {
    path: String,
    directory: OwnedFd,
    name: String,
    temporary: String,
    base: OwnedFd,
    base_size: u64,
    file: OwnedFd,
    pending: ByteQueue,
    /// Bytes of a piece that are still to come.
    fresh: u64,
    /// Where bytes are still to be copied from, and where they end.
    copying: (u64, u64),
    size: u64,
    max_size: u64,
    moved: bool,
}

impl Splice {
    /// Opens the file, which is as the host knows it, and makes its successor. `serial` is unique in this agent.
    pub fn begin(request: &SpliceRequest, serial: u64) -> Outcome<Self> {
        let path = request.path.clone();
        let failed = |errno| failure("splicing", &path, errno);
        let (parent, name) = request.split();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(parent, flags, Mode::empty()).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let base = openat(&directory, name, flags, Mode::empty()).map_err(failed)?;
        let status = fstat(&base).map_err(failed)?;
        if !is_known(&status, request) {
            return Err(Failure::new(Code::FailedPrecondition, format!("splicing {path}: it has changed meanwhile")));
        }
        let temporary = format!(".banger-splice-{}-{serial}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&directory, temporary.as_str(), flags, Mode::from(0o600)).map_err(failed)?;
        let name = name.to_string();
        let splice = Splice {
            path: request.path.clone(),
            directory,
            name,
            temporary,
            base,
            base_size: status.st_size as u64,
            file,
            pending: ByteQueue::default(),
            fresh: 0,
            copying: (0, 0),
            size: 0,
            max_size: request.max_size,
            moved: false,
        };
        fchmod(&splice.file, Mode::from(status.st_mode & 0o777)).map_err(failed)?;
        Ok(splice)
    }

    /// Takes more of the pieces, which `work` acts on. The window bounds what waits.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.pending.push(bytes);
    }

    /// Acts on some of what came: a few bytes of it may have gigabytes copied. Returns how many of its bytes are done with, and whether there
    /// is more to do already.
    pub fn work(&mut self) -> Outcome<(usize, bool)> {
        let (waiting, mut room) = (self.pending.len(), CHUNK);
        while room > 0 {
            match self.step(room)? {
                0 => break,
                moved => room = room.saturating_sub(moved),
            }
        }
        Ok((waiting - self.pending.len(), room == 0))
    }

    /// Puts it in its place, once `work` has nothing more to do. Returns its size, and the guest's time.
    pub fn finish(mut self) -> Outcome<Value> {
        if self.fresh > 0 || self.copying.0 < self.copying.1 || !self.pending.is_empty() {
            return Err(self.nonsense());
        }
        renameat(&self.directory, self.temporary.as_str(), &self.directory, self.name.as_str())
            .map_err(|errno| failure("splicing", &self.path, errno))?;
        self.moved = true;
        let mut answer = file_time();
        answer["bytes"] = self.size.into();
        Ok(answer)
    }

    /// Moves at most `most` bytes, or takes the head of a piece. Returns how much that was; 0 when more has to come first.
    fn step(&mut self, most: usize) -> Outcome<usize> {
        let (at, end) = self.copying;
        if at < end {
            return self.copy(usize::try_from(end - at).unwrap_or(most).min(most));
        }
        if self.fresh > 0 {
            let count = self.pending.len().min(usize::try_from(self.fresh).unwrap_or(most)).min(most);
            let piece = self.pending.as_slice()[..count].to_vec();
            self.pending.consume(count);
            self.fresh -= count as u64;
            self.put(&piece)?;
            return Ok(count);
        }
        let Some(head) = self.pending.as_slice().first_chunk::<HEAD>().copied() else {
            return Ok(0);
        };
        self.pending.consume(HEAD);
        let number = |at: usize| head[at..at + 8].iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        match (head[0], number(1), number(9)) {
            (b'c', at, length) => match at.checked_add(length).filter(|end| *end <= self.base_size) {
                Some(end) => self.copying = (at, end),
                None => return Err(self.nonsense()),
            },
            (b'd', 0, length) => self.fresh = length,
            _ => return Err(self.nonsense()),
        }
        Ok(HEAD)
    }

    fn copy(&mut self, most: usize) -> Outcome<usize> {
        let mut buffer = vec![0; most];
        let read = retry_on_intr(|| pread(&self.base, &mut buffer[..], self.copying.0));
        let count = read.and_then(|count| if count == 0 { Err(Errno::IO) } else { Ok(count) });
        let count = count.map_err(|errno| failure("splicing", &self.path, errno))?;
        self.put(&buffer[..count])?;
        self.copying.0 += count as u64;
        Ok(count)
    }

    fn put(&mut self, mut bytes: &[u8]) -> Outcome<()> {
        self.size += bytes.len() as u64;
        if self.size > self.max_size {
            return Err(self.nonsense());
        }
        while !bytes.is_empty() {
            let written = retry_on_intr(|| write(&self.file, bytes));
            let count = written.map_err(|errno| failure("splicing", &self.path, errno))?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    fn nonsense(&self) -> Failure {
        Failure::new(Code::InvalidArgument, format!("splicing {}: the pieces make no sense", self.path))
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        if !self.moved {
            // Somebody in the guest may have removed it.
            let _ = unlinkat(&self.directory, self.temporary.as_str(), AtFlags::empty());
        }
    }
}

fn is_known(status: &Stat, request: &SpliceRequest) -> bool {
    let changed = (status.st_ctime, status.st_ctime_nsec as u32);
    status.st_size as u64 == request.size && changed == (request.changed_seconds, request.changed_nanoseconds)
}
