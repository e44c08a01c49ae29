//! `put`: one large file, in as many attempts as it takes. What came waits under a name that the next attempt finds.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, fchmod, fchown, flock, fstat, ftruncate};
use rustix::fs::{futimens, openat, renameat, unlinkat};
use rustix::io::{Errno, pwrite, retry_on_intr};
use rustix::process::{Gid, Uid, getuid};
use serde_json::{Value, json};

use super::attributes::timestamps;
use crate::failure::{Code, Failure, Outcome};
use crate::requests::PutRequest;
use crate::upload::failure;

/// A file under way. Dropped before `finish`, what came stays under the name of the partial file.
#[derive(Debug)]
pub struct Put {
    request: PutRequest,
    directory: OwnedFd,
    file: OwnedFd,
    at: u64,
}

impl Put {
    /// Opens the partial file and goes on at the offset. Errors: `not_found` for its directory; `failed_precondition` when it
    /// has fewer bytes, or another writer.
    pub fn begin(request: PutRequest) -> Outcome<Self> {
        let failed = |errno| failure("writing", &request.path, errno);
        let (directory, _) = request.split();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, directory, flags, Mode::empty()).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&directory, request.partial_name(), flags, Mode::from(0o600)).map_err(failed)?;
        let refuse = |why: &str| Failure::new(Code::FailedPrecondition, format!("writing {}: {why}", request.path));
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) => return Err(refuse("another copy of the same file is writing it")),
            other => other.map_err(failed)?,
        }
        let status = fstat(&file).map_err(failed)?;
        // One that somebody else has laid out there could be read by him, and written to when it is in its place.
        let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
        let is_ours = [getuid().as_raw(), request.uid].contains(&status.st_uid);
        let own = is_file && status.st_nlink == 1 && is_ours;
        if !own || request.offset > status.st_size as u64 {
            return Err(refuse("what an earlier attempt left of it is not there any more"));
        }
        ftruncate(&file, request.offset).map_err(failed)?;
        let at = request.offset;
        Ok(Put { request, directory, file, at })
    }

    /// Writes what came. When there is no room for it the partial file is removed.
    pub fn receive(&mut self, bytes: &[u8]) -> Outcome<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match retry_on_intr(|| pwrite(&self.file, rest, self.at)) {
                Ok(count) if count > 0 => {
                    rest = &rest[count..];
                    self.at += count as u64;
                }
                end => {
                    // Somebody in the guest may have removed it.
                    let _ = unlinkat(&self.directory, self.request.partial_name(), AtFlags::empty());
                    return Err(failure("writing", &self.request.path, end.err().unwrap_or(Errno::IO)));
                }
            }
        }
        Ok(())
    }

    /// Puts the file in its place. Returns its size.
    pub fn finish(self) -> Outcome<Value> {
        let Put { request, directory, file, at } = &self;
        let place = || {
            fchown(file, Some(Uid::from_raw(request.uid)), Some(Gid::from_raw(request.gid)))?;
            fchmod(file, Mode::from(request.mode))?;
            let micros = (request.mtime_ms * 1000.0) as i64;
            let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            futimens(file, &timestamps((seconds, rest as u32 * 1000)))?;
            let (_, name) = request.split();
            renameat(directory, request.partial_name(), directory, name)
        };
        place().map_err(|errno| failure("putting in place", &request.path, errno))?;
        Ok(json!({"bytes": at}))
    }
}
