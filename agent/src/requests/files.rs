//! `stat`, `read`, `put`, `tar-out`, `tar-in`: files of the guest.

use serde::Deserialize;

use super::invalid;
use crate::failure::Outcome;
use crate::tree::check_name;

/// Bytes of a path, as the kernel bounds them (PATH_MAX without its NUL).
const MAX_PATH: usize = 4095;
const MAX_MODE: u32 = 0o7777;
/// Paths of one archive.
const MAX_PATHS: usize = 256;

/// `stat`: what a path is.
#[derive(Debug, Deserialize)]
pub struct StatRequest {
    /// Absolute path in the guest.
    pub path: String,
    /// Whether a link is followed.
    #[serde(default)]
    pub follow: bool,
}

/// `read`: the content of a file.
#[derive(Debug, Deserialize)]
pub struct ReadRequest {
    /// Absolute path in the guest.
    pub path: String,
    /// Bytes to skip.
    #[serde(default)]
    pub offset: u64,
}

/// `put`: a file in several attempts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutRequest {
    /// Absolute path in the guest; its directory exists.
    pub path: String,
    /// Permissions of the file.
    pub mode: u32,
    /// Owner of the file.
    #[serde(default)]
    pub uid: u32,
    /// Group of the file.
    #[serde(default)]
    pub gid: u32,
    /// Its modification, milliseconds since 1970.
    pub mtime_ms: f64,
    /// Hexadecimal digits that name the content, so that another attempt finds what came of it.
    pub key: String,
    /// Bytes that are there already.
    #[serde(default)]
    pub offset: u64,
}

/// `tar-out`: paths as an archive.
#[derive(Debug, Deserialize)]
pub struct TarOutRequest {
    /// What to pack.
    pub paths: Vec<TarEntry>,
    /// Whether links are followed, everywhere.
    #[serde(default)]
    pub follow: bool,
    /// Device nodes and extended attributes come along.
    #[serde(default)]
    pub special: bool,
}

/// A path and its name in the archive.
#[derive(Debug, Deserialize)]
pub struct TarEntry {
    /// Absolute path in the guest.
    pub path: String,
    /// Relative name without `.` and `..`; `.` alone leaves the names of what is in a directory as they are.
    pub name: String,
}

/// `tar-in`: an archive to unpack.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TarInRequest {
    /// Absolute path of the directory.
    pub path: String,
    /// Owner of everything unless owners are kept.
    #[serde(default)]
    pub uid: u32,
    /// Group of the same.
    #[serde(default)]
    pub gid: u32,
    /// Owners are those of the archive.
    #[serde(default)]
    pub keep_owners: bool,
    /// Device nodes, set-user-ID bits and extended attributes are kept.
    #[serde(default)]
    pub special: bool,
}

impl StatRequest {
    /// Refuses with `invalid_argument` what is no path.
    pub fn validate(&self) -> Outcome<()> {
        check_path("stat", &self.path)
    }
}

impl ReadRequest {
    /// Refuses with `invalid_argument` what is no path.
    pub fn validate(&self) -> Outcome<()> {
        check_path("read", &self.path)
    }
}

impl PutRequest {
    /// Refuses with `invalid_argument` what names no file, or no content.
    pub fn validate(&self) -> Outcome<()> {
        check_path("put", &self.path)?;
        check_owner("put", self.uid, self.gid)?;
        if matches!(self.split().1, "" | "." | "..") {
            return Err(invalid(format!("put: {:?} names no file", self.path)));
        }
        let is_key = (16..=64).contains(&self.key.len()) && self.key.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_key || self.mode > MAX_MODE || !self.mtime_ms.is_finite() || self.mtime_ms.abs() > 9e12 {
            return Err(invalid("put: key, mode or mtimeMs makes no sense"));
        }
        Ok(())
    }

    /// The directory of the file, and its name.
    pub fn split(&self) -> (&str, &str) {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or_default();
        (if directory.is_empty() { "/" } else { directory }, name)
    }

    /// Where what came waits, beside the place of the file.
    pub fn partial_name(&self) -> String {
        format!(".banger-part-{}", self.key)
    }
}

impl TarOutRequest {
    /// Refuses with `invalid_argument` what names nothing.
    pub fn validate(&self) -> Outcome<()> {
        if self.paths.is_empty() || self.paths.len() > MAX_PATHS {
            return Err(invalid(format!("tar-out: 1 to {MAX_PATHS} paths are packed at once")));
        }
        self.paths.iter().try_for_each(|TarEntry { path, name }| {
            check_path("tar-out", path)?;
            check_name(name)
        })
    }
}

impl TarInRequest {
    /// Refuses with `invalid_argument` what is no path.
    pub fn validate(&self) -> Outcome<()> {
        check_owner("tar-in", self.uid, self.gid)?;
        check_path("tar-in", &self.path)
    }
}

pub(super) fn check_path(kind: &str, path: &str) -> Outcome<()> {
    match path.starts_with('/') && path.len() <= MAX_PATH && !path.contains('\0') {
        true => Ok(()),
        false => Err(invalid(format!("{kind}: {path:?} is no absolute path"))),
    }
}

fn check_owner(kind: &str, uid: u32, gid: u32) -> Outcome<()> {
    // chown(2) takes it for "leave it".
    match [uid, gid].contains(&u32::MAX) {
        true => Err(invalid(format!("{kind}: {} is no owner", u32::MAX))),
        false => Ok(()),
    }
}
