//! A directory being read: its names, taken at once, so that it may change meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{FileType, RawDir, Stat, fstat, fstatfs};
use rustix::io::{Errno, Result};

/// File systems of the kernel that hold no files of anybody (magic numbers of linux/magic.h and the kernel's own sources).
const KERNELS_OWN: [u64; 13] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6367_7270, // cgroup2
    0x0027_e0eb, // cgroup
    0x1cd1,      // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6165_676c, // pstore
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
    0x1980_0202, // mqueue
    0xde5e_81e4, // efivarfs
];

/// Bytes of the names of a directory and those above it: a million files or two.
const MAX_NAMES: usize = 64 * 1024 * 1024;

/// One directory on the way down.
#[derive(Debug)]
pub struct Level {
    /// Open for reading.
    pub directory: Rc<OwnedFd>,
    /// Its name in the archive, `/` at its end; empty for the archive's root.
    pub name: Vec<u8>,
    /// Device and inode, to find loops.
    pub identity: (u64, u64),
    names: Vec<u8>,
    at: usize,
}

impl Level {
    /// Reads the names of an open directory, `above` which are those. The kernel's own file systems, met below another one, count as empty. `FBIG`: it has too many.
    pub fn open(directory: OwnedFd, name: Vec<u8>, above: &[Level]) -> Result<(Self, Stat)> {
        let status = fstat(&directory)?;
        let crosses = above.last().is_some_and(|parent| parent.identity.0 != status.st_dev);
        let held: usize = above.iter().map(|level| level.names.len()).sum();
        let names = match crosses && is_kernels_own(&directory)? {
            true => Vec::new(),
            false => read_names(&directory, MAX_NAMES.saturating_sub(held))?,
        };
        let identity = (status.st_dev, status.st_ino);
        Ok((Level { directory: Rc::new(directory), name, identity, names, at: 0 }, status))
    }

    /// The next name and what the directory says that it is.
    pub fn next(&mut self) -> Option<(FileType, Vec<u8>)> {
        let (&kind, rest) = self.names.get(self.at..)?.split_first()?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        self.at += end + 2;
        Some((kind_from_byte(kind), rest[..end].to_vec()))
    }
}

/// Each name behind a byte for its kind, ended by NUL, at most `max` bytes in all.
fn read_names(directory: impl AsFd, max: usize) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut reader = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes_with_nul();
        if !matches!(name, b".\0" | b"..\0") {
            if names.len() + name.len() >= max {
                return Err(Errno::FBIG);
            }
            names.push(kind_to_byte(entry.file_type()));
            names.extend_from_slice(name);
        }
    }
    Ok(names)
}

fn is_kernels_own(directory: impl AsFd) -> Result<bool> {
    Ok(KERNELS_OWN.contains(&(fstatfs(directory)?.f_type as u64)))
}

/// Only the kinds that are opened without looking again are told apart.
fn kind_to_byte(kind: FileType) -> u8 {
    match kind {
        FileType::RegularFile => b'f',
        FileType::Directory => b'd',
        FileType::Symlink => b'l',
        _ => b'?',
    }
}

fn kind_from_byte(byte: u8) -> FileType {
    match byte {
        b'f' => FileType::RegularFile,
        b'd' => FileType::Directory,
        b'l' => FileType::Symlink,
        _ => FileType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, open};

    #[test]
    fn a_directory_with_too_many_names_is_an_error() {
        let path = std::env::temp_dir().join(format!("banger-names-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        for name in ["a", "bc"] {
            std::fs::write(path.join(name), "").expect("a file");
        }
        let directory = || open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        // A kind, the name and its end: 3 bytes and 4.
        assert_eq!(read_names(directory().expect("it opens"), 7).map(|names| names.len()), Ok(7));
        assert_eq!(read_names(directory().expect("it opens"), 6), Err(Errno::FBIG));
        std::fs::remove_dir_all(&path).expect("removed");
    }

    #[test]
    fn the_names_of_directories_above_count() {
        let path = std::env::temp_dir().join(format!("banger-above-{}", std::process::id()));
        std::fs::create_dir_all(path.join("below")).expect("directories");
        let open_at = |path: &std::path::Path| {
            open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("it opens")
        };
        std::fs::write(path.join("below/file"), "").expect("a file");
        let (mut top, _) = Level::open(open_at(&path), Vec::new(), &[]).expect("a level");
        assert!(Level::open(open_at(&path.join("below")), b"below/".to_vec(), &[]).is_ok());
        // As if it had many.
        top.names.resize(MAX_NAMES - "file".len(), 0);
        let below = Level::open(open_at(&path.join("below")), b"below/".to_vec(), &[top]);
        assert_eq!(below.map(drop), Err(Errno::FBIG));
        std::fs::remove_dir_all(&path).expect("removed");
    }
}
