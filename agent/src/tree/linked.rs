//! Files with several names: which was their first one in this archive.

use std::collections::HashMap;

use rustix::fs::Stat;

/// Files that are remembered, and bytes of their names; others come as files of their own.
const MAX_FILES: usize = 65_536;
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The first names of files, by device and inode.
#[derive(Debug)]
pub struct Linked {
    names: HashMap<(u64, u64), Vec<u8>>,
    /// Bytes of names that may still come.
    room: usize,
}

impl Default for Linked {
    fn default() -> Self {
        Linked { names: HashMap::new(), room: MAX_BYTES }
    }
}

impl Linked {
    /// The first name of a file that was here before; if not, `name` is remembered for it, as far as there is room.
    pub fn first(&mut self, status: &Stat, name: &[u8]) -> Option<&[u8]> {
        let identity = (status.st_dev, status.st_ino);
        if !self.names.contains_key(&identity) {
            if self.names.len() < MAX_FILES && name.len() <= self.room {
                self.room -= name.len();
                self.names.insert(identity, name.to_vec());
            }
            return None;
        }
        self.names.get(&identity).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> Stat {
        let mut status = rustix::fs::stat("/").expect("it is there");
        status.st_ino = inode;
        status
    }

    #[test]
    fn the_first_name_of_a_file_is_told_for_every_other() {
        let mut linked = Linked::default();
        assert_eq!(linked.first(&file(1), b"a"), None);
        assert_eq!(linked.first(&file(2), b"b"), None);
        assert_eq!(linked.first(&file(1), b"c"), Some(&b"a"[..]));
        assert_eq!(linked.first(&file(1), b"d"), Some(&b"a"[..]));
    }

    #[test]
    fn no_more_names_are_remembered_than_there_is_room_for() {
        let mut linked = Linked::default();
        let long = vec![b'x'; MAX_BYTES / 4];
        for inode in 0..4 {
            assert_eq!(linked.first(&file(inode), &long), None);
        }
        assert_eq!(linked.first(&file(4), b"y"), None);
        assert_eq!(linked.first(&file(4), b"z"), None);
        assert_eq!(linked.first(&file(3), b"z"), Some(&long[..]));

        let mut linked = Linked::default();
        for inode in 0..MAX_FILES as u64 + 1 {
            assert_eq!(linked.first(&file(inode), b"x"), None);
        }
        assert_eq!(linked.first(&file(MAX_FILES as u64), b"z"), None);
        assert_eq!(linked.first(&file(MAX_FILES as u64 - 1), b"z"), Some(&b"x"[..]));
    }
}
