//! `stat`: what a path of the guest is, and where it really is.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::requests::StatRequest;
use crate::upload::failure;

/// Looks at a path. Errors: `not_found`, naming it.
pub fn stat(request: &StatRequest) -> Outcome<Value> {
    let path = request.path.as_str();
    let failed = |errno| failure("looking at", path, errno);
    if !request.follow {
        let status = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        return Ok(describe(&status));
    }
    let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let mut answer = describe(&fstat(&file).map_err(failed)?);
    // proc(5): the link names the file as this process can reach it.
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let real = readlinkat(CWD, format!("/proc/self/fd/{number}"), Vec::new()).map_err(failed)?;
    // A path that is not UTF-8 cannot be said here; the one asked for leads there, too.
    answer["path"] = json!(real.to_str().unwrap_or(path));
    Ok(answer)
}

/// The members that all answers about a file have.
pub fn describe(status: &Stat) -> Value {
    let kind = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        _ => "device",
    };
    json!({
        "type": kind,
        "size": status.st_size,
        // What it takes of the disk: less than its size for one with holes.
        "storedBytes": status.st_blocks * 512,
        "mode": status.st_mode & 0o7777,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtimeMs": status.st_mtime as f64 * 1000.0 + (status.st_mtime_nsec / 1000) as f64 / 1000.0,
    })
}
