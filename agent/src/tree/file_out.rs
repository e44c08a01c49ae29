//! `read`: the content of one file, from an offset on.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{pread, retry_on_intr};
use serde_json::{Value, json};

use super::stat::describe;
use crate::failure::{Code, Failure, Outcome};
use crate::requests::ReadRequest;
use crate::upload::failure;

/// A file under way.
#[derive(Debug)]
pub struct FileOut {
    path: String,
    file: OwnedFd,
    at: u64,
    /// Where it ends; absent for files of the kernel, which have no size.
    end: Option<u64>,
    bytes: u64,
    over: bool,
}

impl FileOut {
    /// Opens the file, and says what it is. Errors: `not_found`; `failed_precondition` for what is no regular file;
    /// `invalid_argument` for an offset behind its end.
    pub fn begin(request: &ReadRequest) -> Outcome<(Self, Value)> {
        let path = request.path.clone();
        let failed = |errno| failure("reading", &path, errno);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat(CWD, path.as_str(), flags, Mode::empty()).map_err(failed)?;
        let status = fstat(&file).map_err(failed)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(Failure::new(Code::FailedPrecondition, format!("reading {path}: it is no regular file")));
        }
        let size = status.st_size as u64;
        if request.offset > size {
            let message = format!("reading {path}: it has {size} bytes, and {} were to be skipped", request.offset);
            return Err(Failure::new(Code::InvalidArgument, message));
        }
        let end = (size > 0).then_some(size);
        let over = end == Some(request.offset);
        Ok((FileOut { path, file, at: request.offset, end, bytes: 0, over }, describe(&status)))
    }

    /// Appends at most `max` bytes to `out`, and at least one unless it is over. `failed_precondition` when the file has
    /// become shorter.
    pub fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> Outcome<()> {
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        let from = out.len();
        out.resize(from + usize::try_from(left).unwrap_or(usize::MAX).min(max), 0);
        let read = retry_on_intr(|| pread(&self.file, &mut out[from..], self.at));
        let count = read.map_err(|errno| failure("reading", &self.path, errno))?;
        out.truncate(from + count);
        self.at += count as u64;
        self.bytes += count as u64;
        match self.end {
            Some(_) if count == 0 => {
                let message = format!("reading {}: it became shorter meanwhile", self.path);
                return Err(Failure::new(Code::FailedPrecondition, message));
            }
            Some(end) => self.over = self.at == end,
            None => self.over = count == 0,
        }
        Ok(())
    }

    /// Whether everything was taken.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What was sent.
    pub fn result(&self) -> Value {
        json!({"bytes": self.bytes})
    }
}
