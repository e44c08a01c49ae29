//! The map of a sparse file: where its data is.

use std::os::fd::AsFd;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{BLOCK, numbers::get_decimal, padding};

/// Pieces of data that a map of ours has at most; what is behind goes into the last one, holes and all.
const MAX_PIECES: usize = 8_192;
/// Pieces that a map of anybody else may have.
const MAX_FOREIGN_PIECES: u64 = 1 << 20;

/// One piece of data: where it begins, and its bytes.
pub type Piece = (u64, u64);

/// Asks the file system where the data of a file of `size` bytes is.
pub fn find_pieces(file: impl AsFd, size: u64) -> Result<Vec<Piece>, Errno> {
    let (file, mut pieces, mut at) = (file.as_fd(), Vec::new(), 0);
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            // A file system of the guest's own may say anything.
            Ok(start) => start.max(at).min(size),
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        let end = match pieces.len() + 1 < MAX_PIECES {
            true => seek(file, SeekFrom::Hole(start))?.min(size),
            false => size,
        };
        if end > start {
            pieces.push((start, end - start));
        }
        at = end.max(at + 1);
    }
    Ok(pieces)
}

/// The map as text that fills whole blocks. The last line tells the size, as a piece without bytes.
pub fn format_map(pieces: &[Piece], size: u64) -> Vec<u8> {
    let mut text = format!("{}\n", pieces.len() + 1);
    for (start, length) in pieces.iter().chain([&(size, 0)]) {
        text.push_str(&format!("{start}\n{length}\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len() + padding(bytes.len() as u64), 0);
    bytes
}

/// Reads a map from the beginning of a sparse file's content.
#[derive(Debug, Default)]
pub struct MapReader {
    line: Vec<u8>,
    numbers: Vec<u64>,
    taken: usize,
    padding: usize,
}

impl MapReader {
    /// Takes what belongs to the map off `bytes`. The pieces once it is complete; an error says what is wrong with it.
    pub fn read(&mut self, bytes: &mut &[u8], size: u64) -> Result<Option<Vec<Piece>>, &'static str> {
        while !self.is_complete() {
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            *bytes = rest;
            self.taken += 1;
            if byte == b'\n' {
                let number = get_decimal(&self.line).ok_or("a line of its map is no number")?;
                if self.numbers.is_empty() && number > MAX_FOREIGN_PIECES {
                    return Err("its map has too many pieces");
                }
                self.numbers.push(number);
                self.line.clear();
                self.padding = padding(self.taken as u64);
            } else if self.line.len() == 20 {
                return Err("a line of its map is too long");
            } else {
                self.line.push(byte);
            }
        }
        let skipped = self.padding.min(bytes.len());
        *bytes = &bytes[skipped..];
        self.padding -= skipped;
        if self.padding > 0 {
            return Ok(None);
        }
        let pieces: Vec<Piece> = self.numbers[1..].chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let mut end = 0;
        for &(start, length) in &pieces {
            if start < end {
                return Err("the pieces of its map overlap");
            }
            end = start.checked_add(length).filter(|&end| end <= size).ok_or("its map goes beyond its size")?;
        }
        Ok(Some(pieces))
    }

    /// Bytes of the archive that the map has taken, once it is complete.
    pub fn stored_bytes(&self) -> u64 {
        (self.taken.div_ceil(BLOCK) * BLOCK) as u64
    }

    fn is_complete(&self) -> bool {
        self.numbers.first().is_some_and(|&count| self.numbers.len() as u64 == 1 + 2 * count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_comes_back_byte_by_byte() {
        for count in [0u64, 1, 5, 200] {
            let pieces: Vec<Piece> = (0..count).map(|n| (n * 10_000, 4_096)).collect();
            let map = format_map(&pieces, 3_000_000);
            assert_eq!(map.len() % BLOCK, 0);
            let mut reader = MapReader::default();
            let mut found = None;
            for (at, byte) in map.iter().enumerate() {
                assert!(found.is_none(), "{at}");
                found = reader.read(&mut &[*byte][..], 3_000_000).expect("a good map");
            }
            let mut expected = pieces;
            expected.push((3_000_000, 0));
            assert_eq!((found, reader.stored_bytes()), (Some(expected), map.len() as u64));
        }
    }

    #[test]
    fn read_refuses_maps_that_lie() {
        for bad in ["x\n", "99999999\n", "\n", "1\n5\n1000\n", "2\n5\n5\n8\n1\n", "1\n18446744073709551615\n1\n"] {
            let mut bytes = bad.as_bytes().to_vec();
            bytes.resize(BLOCK, 0);
            assert!(MapReader::default().read(&mut &bytes[..], 100).is_err(), "{bad:?}");
        }
        assert!(MapReader::default().read(&mut &[b'1'; 100][..], 100).is_err());
    }
}
