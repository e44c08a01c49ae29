//! Paths: where they lead, what a tilde stands for, and moving a file from one to another.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, RenameFlags, renameat, renameat_with, statat};
use rustix::io::Errno;

use super::reply::Refusal;
use crate::exec::identity_of;

/// Without links, `.` and `..`. The last part need not be there.
pub fn real_path(path: &[u8]) -> Result<Vec<u8>, Refusal> {
    let path = Path::new(OsStr::from_bytes(if path.is_empty() { b"." } else { path }));
    let real = match (std::fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            std::fs::canonicalize(parent)?.join(name)
        }
        (result, ..) => result?,
    };
    Ok(real.into_os_string().into_vec())
}

/// `~` and `~USER` at the front become home directories; then as `real_path`.
pub fn expand_path(path: &[u8]) -> Result<Vec<u8>, Refusal> {
    let Some(rest) = path.strip_prefix(b"~") else {
        return real_path(path);
    };
    let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
    let (user, rest) = rest.split_at(end);
    let home = match (user, std::env::var_os("HOME")) {
        (b"", Some(home)) => home.into_vec(),
        (b"", None) => return Err(Errno::NOENT.into()),
        _ => {
            let user = std::str::from_utf8(user).map_err(|_| Errno::NOENT)?;
            let found = identity_of(Some(user)).map_err(|failure| Refusal::failure(failure.message))?;
            found.home.into_bytes()
        }
    };
    real_path(&[home.as_slice(), rest].concat())
}

/// Gives a file another name that nothing has.
pub fn rename(from: &[u8], to: &[u8]) -> Result<(), Refusal> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot look and move in one step.
        Err(Errno::INVAL | Errno::NOSYS) => match statat(CWD, to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(Errno::NOENT) => Ok(renameat(CWD, from, CWD, to)?),
            Err(errno) => Err(errno.into()),
        },
        result => Ok(result?),
    }
}
