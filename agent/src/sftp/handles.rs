//! What a client has open.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::fs::Dir;

use super::reply::Refusal;

/// So many files and directories at once.
pub const MAX_HANDLES: usize = 1024;

/// One of them.
#[derive(Debug)]
pub enum Handle {
    /// A file.
    File(OwnedFd),
    /// A directory, as far as it was read.
    Directory(Dir),
}

/// All of them. A number is never used twice.
#[derive(Debug, Default)]
pub struct Handles {
    open: BTreeMap<u32, Handle>,
    next: u32,
}

impl Handles {
    /// Keeps it and returns its name.
    pub fn insert(&mut self, handle: Handle) -> Result<[u8; 4], Refusal> {
        if self.open.len() >= MAX_HANDLES {
            return Err(Refusal::failure(format!("{MAX_HANDLES} files are open")));
        }
        let number = self.next;
        self.next = number.checked_add(1).ok_or_else(|| Refusal::failure("no more files can be opened"))?;
        self.open.insert(number, handle);
        Ok(number.to_be_bytes())
    }

    /// A file by its name.
    pub fn file(&self, name: &[u8]) -> Result<&OwnedFd, Refusal> {
        match number(name).and_then(|number| self.open.get(&number)) {
            Some(Handle::File(file)) => Ok(file),
            _ => Err(unknown()),
        }
    }

    /// A directory by its name.
    pub fn directory(&mut self, name: &[u8]) -> Result<&mut Dir, Refusal> {
        match number(name).and_then(|number| self.open.get_mut(&number)) {
            Some(Handle::Directory(directory)) => Ok(directory),
            _ => Err(unknown()),
        }
    }

    /// Closes one.
    pub fn close(&mut self, name: &[u8]) -> Result<(), Refusal> {
        number(name).and_then(|number| self.open.remove(&number)).map(drop).ok_or_else(unknown)
    }
}

fn number(name: &[u8]) -> Option<u32> {
    name.try_into().ok().map(u32::from_be_bytes)
}

fn unknown() -> Refusal {
    Refusal::failure("no such handle")
}
