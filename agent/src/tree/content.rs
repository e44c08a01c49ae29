//! The content of a file on its way into an archive.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::{pread, retry_on_intr};

use super::sparse::Piece;
use crate::failure::Outcome;
use crate::upload::failure;

/// The file whose content is sent.
#[derive(Debug)]
pub struct Content {
    pub file: OwnedFd,
    pub name: Vec<u8>,
    /// What is left of it.
    pub pieces: VecDeque<Piece>,
    /// What follows in the archive.
    pub padding: usize,
    /// It became shorter while it was read.
    pub cut: bool,
}

impl Content {
    /// Appends to `out` until that has `end` bytes, or until everything is there: then true. One that has become shorter is filled up
    /// with zeros: its size was said already.
    pub fn fill(&mut self, out: &mut Vec<u8>, end: usize) -> Outcome<bool> {
        while let Some((at, left)) = self.pieces.front_mut() {
            if *left == 0 {
                self.pieces.pop_front();
                continue;
            }
            let room = usize::try_from(*left).unwrap_or(usize::MAX).min(end - out.len());
            if room == 0 {
                return Ok(false);
            }
            let from = out.len();
            out.resize(from + room, 0);
            let read = retry_on_intr(|| pread(&self.file, &mut out[from..], *at));
            let count = read.map_err(|errno| failure("reading", &String::from_utf8_lossy(&self.name), errno))?;
            self.cut |= count == 0;
            let count = if count == 0 { room } else { count };
            out.truncate(from + count);
            *at += count as u64;
            *left -= count as u64;
        }
        Ok(true)
    }
}
