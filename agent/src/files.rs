//! Reading files that an image, which may be hostile, controls.

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{self, Errno};

/// Reads a regular file of at most `max` bytes. Anything else at that path (a fifo, a device, a larger file) is an error
/// rather than a reason to wait or to grow.
pub fn read_small(path: &str, max: usize) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty())?;
    let status = fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut bytes = Vec::with_capacity((status.st_size as usize).min(max) + 1);
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(4096);
        }
        let count = io::read(&file, rustix::buffer::spare_capacity(&mut bytes))?;
        if count == 0 {
            return Ok(bytes);
        }
        if bytes.len() > max {
            return Err(Errno::FBIG);
        }
    }
}

/// The text of a file in `/proc` or `/sys` without surrounding white space; empty if it cannot be read.
pub fn read_line(path: &str) -> String {
    const MAX_PSEUDO_FILE: usize = 1024 * 1024;
    match read_small(path, MAX_PSEUDO_FILE) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_string(),
        Err(_) => String::new(),
    }
}
