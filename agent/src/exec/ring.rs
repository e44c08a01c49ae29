//! The kept output of a detached command: the last bytes that it wrote, with the channel of each. Pure.

use std::collections::VecDeque;

/// Bytes kept.
pub const KEPT_OUTPUT: usize = 1024 * 1024;
/// Changes between channels that are kept; older output goes with its change.
const MAX_SEGMENTS: usize = 16 * 1024;

/// Output by position: the first byte ever written has position 0.
#[derive(Debug, Default)]
pub struct Ring {
    bytes: VecDeque<u8>,
    /// Channel and end position of each run of bytes, oldest first.
    segments: VecDeque<(u8, u64)>,
    end: u64,
}

impl Ring {
    /// Position of the oldest byte kept.
    pub fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Position after the newest byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How much can be pushed without forgetting what a reader at `cursor` has not read: what it has read makes room, changes between
    /// channels as well as bytes.
    pub fn room(&self, cursor: u64) -> usize {
        let unread = (self.end - cursor.max(self.start())) as usize;
        let read = self.segments.partition_point(|(_, end)| *end <= cursor);
        match self.segments.len() - read < MAX_SEGMENTS {
            true => KEPT_OUTPUT.saturating_sub(unread),
            false => 0,
        }
    }

    /// Adds output, forgetting the oldest.
    pub fn push(&mut self, channel: u8, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(KEPT_OUTPUT)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(KEPT_OUTPUT);
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.end += bytes.len() as u64;
        match self.segments.back_mut() {
            Some((last, end)) if *last == channel => *end = self.end,
            _ => self.segments.push_back((channel, self.end)),
        }
        self.forget_segments();
    }

    /// Output at `cursor`, all of one channel: channel, position and bytes. `None` at the end. A cursor before the oldest
    /// byte kept reads from there.
    pub fn read(&self, cursor: u64) -> Option<(u8, u64, &[u8])> {
        let cursor = cursor.max(self.start());
        let index = self.segments.partition_point(|(_, end)| *end <= cursor);
        let (channel, end) = *self.segments.get(index)?;
        let offset = (cursor - self.start()) as usize;
        let length = (end - cursor) as usize;
        let (front, back) = self.bytes.as_slices();
        let part = match offset.checked_sub(front.len()) {
            Some(offset) => &back[offset..],
            None => &front[offset..],
        };
        Some((channel, cursor, &part[..length.min(part.len())]))
    }

    fn forget_segments(&mut self) {
        while self.segments.len() > MAX_SEGMENTS {
            if let Some((_, end)) = self.segments.pop_front() {
                let stale = end.saturating_sub(self.start()) as usize;
                self.bytes.drain(..stale);
            }
        }
        let start = self.start();
        while self.segments.front().is_some_and(|(_, end)| *end <= start) {
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ring: &Ring, mut cursor: u64) -> Vec<(u8, Vec<u8>)> {
        let mut out: Vec<(u8, Vec<u8>)> = Vec::new();
        while let Some((channel, at, bytes)) = ring.read(cursor) {
            match out.last_mut() {
                Some((last, kept)) if *last == channel => kept.extend(bytes),
                _ => out.push((channel, bytes.to_vec())),
            }
            cursor = at + bytes.len() as u64;
        }
        out
    }

    #[test]
    fn read_gives_back_what_was_pushed_with_its_channels() {
        let mut ring = Ring::default();
        for (channel, text) in [(1, "a"), (1, "b"), (2, "c"), (1, "d")] {
            ring.push(channel, text.as_bytes());
        }
        let expected = vec![(1, b"ab".to_vec()), (2, b"c".to_vec()), (1, b"d".to_vec())];
        assert_eq!(all(&ring, 0), expected);
        assert_eq!(all(&ring, 3), [(1, b"d".to_vec())]);
        assert!(all(&ring, 4).is_empty());
    }

    #[test]
    fn push_keeps_exactly_the_last_mebibyte() {
        let mut ring = Ring::default();
        let bytes: Vec<u8> = (0..KEPT_OUTPUT + 100_000).map(|i| (i % 251) as u8).collect();
        for chunk in bytes.chunks(65_536) {
            ring.push(1, chunk);
        }
        assert_eq!(all(&ring, 0), [(1, bytes[100_000..].to_vec())]);
        assert_eq!((ring.start(), ring.room(ring.end())), (100_000, KEPT_OUTPUT));
        assert_eq!(ring.room(0), 0);
        ring.push(2, &bytes);
        assert_eq!(all(&ring, 0), [(2, bytes[100_000..].to_vec())]);
    }

    #[test]
    fn push_bounds_the_number_of_changes_between_channels() {
        let mut ring = Ring::default();
        for i in 0..100_000u32 {
            ring.push(1 + (i % 2) as u8, b"x");
        }
        assert_eq!(ring.segments.len(), MAX_SEGMENTS);
        assert_eq!(ring.bytes.len(), MAX_SEGMENTS);
        assert_eq!(ring.read(0).map(|(.., bytes)| bytes.len()), Some(1));
    }

    #[test]
    fn changes_between_channels_that_were_read_make_room_and_others_do_not() {
        let mut ring = Ring::default();
        for i in 0..MAX_SEGMENTS {
            assert!(ring.room(0) > 0, "{i}");
            ring.push(1 + (i % 2) as u8, b"x");
        }
        assert_eq!(ring.room(0), 0);
        assert_eq!(ring.room(1), KEPT_OUTPUT - (MAX_SEGMENTS - 1));
        assert_eq!(ring.room(ring.end()), KEPT_OUTPUT);
        // What room was made for takes the place of what was read, and of nothing else.
        ring.push(1, b"y");
        assert_eq!((ring.start(), ring.room(1)), (1, 0));
    }
}
