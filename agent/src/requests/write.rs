//! `write`: the file to write.

use serde::Deserialize;

use super::invalid;
use crate::failure::Outcome;

/// Bytes of a path, as the kernel bounds them (PATH_MAX without its NUL).
const MAX_PATH: usize = 4095;
/// Permissions with set-user-ID, set-group-ID and sticky bit.
const MAX_MODE: u32 = 0o7777;

/// The whole request. Fields are those of `protocol/README.md`.
#[derive(Debug, Deserialize)]
pub struct WriteRequest {
    /// Absolute path in the guest without `.` and `..`.
    pub path: String,
    /// Permissions of the file.
    pub mode: u32,
    /// Owner of the file and of the directories made for it.
    #[serde(default)]
    pub uid: u32,
    /// Group of the same.
    #[serde(default)]
    pub gid: u32,
}

impl WriteRequest {
    /// Refuses with `invalid_argument` what names no file.
    pub fn validate(&self) -> Outcome<()> {
        let WriteRequest { path, mode, uid, gid } = self;
        let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
        let names_file = parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..")));
        if !names_file || path.len() > MAX_PATH || path.contains('\0') {
            return Err(invalid(format!("write: {path:?} is no absolute path of a file without '.' and '..'")));
        }
        if *mode > MAX_MODE {
            return Err(invalid(format!("write: mode {mode:o} of {path:?} is above {MAX_MODE:o}")));
        }
        // chown(2) takes it for "leave it".
        if [uid, gid].contains(&&u32::MAX) {
            return Err(invalid(format!("write: {} is no owner of {path:?}", u32::MAX)));
        }
        Ok(())
    }

    /// The directories above the file, outermost first, and its name.
    pub fn split(&self) -> (impl Iterator<Item = &str>, &str) {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or_default();
        (directory.split('/').skip(1), name)
    }
}
