//! `scan`, `pick`, `remove`, `rename`: a tree of the guest whose other copy is the host's.

use serde::Deserialize;

use super::files::check_path;
use super::{decode_base64, invalid};
use crate::failure::Outcome;

/// `scan`: what is below a directory.
#[derive(Debug, Deserialize)]
pub struct ScanRequest {
    /// Absolute path of the directory.
    pub path: String,
}

/// `pick`: some files below a directory as an archive; `remove`: some are removed.
#[derive(Debug, Deserialize)]
pub struct NamesRequest {
    /// Absolute path of the directory.
    pub path: String,
    /// Names relative to it, of any bytes but NUL, each ended by NUL, all of them as base64.
    pub names: String,
}

/// `rename`: a path gets another name that nothing has.
#[derive(Debug, Deserialize)]
pub struct RenameRequest {
    /// Absolute path.
    pub from: String,
    /// Absolute path on the same file system.
    pub to: String,
}

/// `splice`: a file is made anew of pieces of itself and of what comes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpliceRequest {
    /// Absolute path of a file.
    pub path: String,
    /// Its size, as the host knows it.
    pub size: u64,
    /// Its change time.
    pub changed_seconds: i64,
    /// The rest of it.
    pub changed_nanoseconds: u32,
    /// The most that it may become.
    pub max_size: u64,
}

impl SpliceRequest {
    /// Refuses with `invalid_argument` what names no file.
    pub fn validate(&self) -> Outcome<()> {
        check_path("splice", &self.path)?;
        match self.split().1 {
            "" | "." | ".." => Err(invalid(format!("splice: {:?} names no file", self.path))),
            _ => Ok(()),
        }
    }

    /// The directory of the file, and its name.
    pub fn split(&self) -> (&str, &str) {
        let (directory, name) = self.path.rsplit_once('/').unwrap_or_default();
        (if directory.is_empty() { "/" } else { directory }, name)
    }
}

impl ScanRequest {
    /// Refuses with `invalid_argument` what is no path.
    pub fn validate(&self) -> Outcome<()> {
        check_path("scan", &self.path)
    }
}

impl NamesRequest {
    /// Refuses with `invalid_argument` what is no path, and names that would leave it.
    pub fn validate(&self) -> Outcome<()> {
        check_path("names", &self.path)?;
        self.list().map(drop)
    }

    /// The names. `invalid_argument` for those that are none.
    pub fn list(&self) -> Outcome<Vec<Vec<u8>>> {
        let bytes = decode_base64(&self.names).ok_or_else(|| invalid("names: this is no base64"))?;
        let Some((0, names)) = bytes.split_last() else {
            return Err(invalid("names: there is none, or the last has no end"));
        };
        let names: Vec<Vec<u8>> = names.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        let is_bad = |name: &Vec<u8>| name.split(|byte| *byte == b'/').any(|part| matches!(part, b"" | b"." | b".."));
        match names.iter().any(is_bad) {
            true => Err(invalid("names: one of them is not relative, or has an empty, . or .. part")),
            false => Ok(names),
        }
    }
}

impl RenameRequest {
    /// Refuses with `invalid_argument` what is no path.
    pub fn validate(&self) -> Outcome<()> {
        check_path("rename", &self.from)?;
        check_path("rename", &self.to)
    }
}
