//! Reading files that an image, which may be hostile, controls.

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{self, Errno};

const PIECE: usize = 64 * 1024;

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

/// The whole lines in the first `max` bytes of a file in `/proc`, which the kernel writes as it is read; none if it cannot be read.
pub fn read_first_lines(path: &str, max: usize) -> String {
    let Ok(file) = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return String::new();
    };
    let mut bytes = Vec::new();
    while bytes.len() < max {
        bytes.reserve(PIECE);
        match io::retry_on_intr(|| io::read(&file, rustix::buffer::spare_capacity(&mut bytes))) {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) => break,
        }
    }
    bytes.truncate(max);
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The text of a file in `/proc` or `/sys` without surrounding white space; empty if it cannot be read.
pub fn read_line(path: &str) -> String {
    const MAX_PSEUDO_FILE: usize = 1024 * 1024;
    match read_small(path, MAX_PSEUDO_FILE) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_first_lines_takes_whole_lines_and_no_more_than_it_may() {
        let path = std::env::temp_dir().join(format!("banger-lines-{}", std::process::id()));
        let name = path.to_str().expect("a path of plain letters");
        std::fs::write(&path, "one\ntwo\nthr").expect("a file");
        assert_eq!(read_first_lines(name, 100), "one\ntwo\n");
        assert_eq!(read_first_lines(name, 6), "one\n");
        assert_eq!(read_first_lines(name, 3), "");
        std::fs::write(&path, "line\n".repeat(50_000)).expect("a file");
        assert_eq!(read_first_lines(name, 200_000).len(), 200_000);
        std::fs::remove_file(&path).expect("it was there");
        assert_eq!(read_first_lines(name, 100), "");
    }
}
