//! What an archive is made of: paths of the guest, and their names in it.

use std::collections::VecDeque;

use crate::failure::Outcome;
use crate::requests::{NamesRequest, TarEntry};

/// A path to pack, and its name in the archive.
#[derive(Debug)]
pub struct Root {
    /// As the kernel takes it.
    pub path: Vec<u8>,
    /// Relative, or `.`.
    pub name: Vec<u8>,
}

/// Paths that are there.
pub fn roots_of(entries: Vec<TarEntry>) -> VecDeque<Root> {
    let root = |TarEntry { path, name }| Root { path: path.into(), name: name.into() };
    entries.into_iter().map(root).collect()
}

/// Files below a directory, under their names there.
pub fn roots_below(request: &NamesRequest) -> Outcome<VecDeque<Root>> {
    let prefix = [request.path.trim_end_matches('/').as_bytes(), b"/"].concat();
    let root = |name: Vec<u8>| Root { path: [&prefix[..], &name].concat(), name };
    Ok(request.list()?.into_iter().map(root).collect())
}
