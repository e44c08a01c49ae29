//! A first-in first-out queue of bytes that can be read as one slice.

/// Bytes waiting to be written somewhere. Its owner bounds it; it never holds more than twice what waits.
#[derive(Debug, Default)]
pub struct ByteQueue {
    bytes: Vec<u8>,
    head: usize,
}

impl ByteQueue {
    /// Number of bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What waits, oldest first.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// Adds to the end.
    pub fn push(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// The buffer to append to. Only appending is allowed.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        &mut self.bytes
    }

    /// Removes `count` bytes, at most `len()`, from the front.
    pub fn consume(&mut self, count: usize) {
        self.head = (self.head + count).min(self.bytes.len());
        if self.head == self.bytes.len() {
            self.clear();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_and_consume_keep_order_and_stay_compact() {
        let mut queue = ByteQueue::default();
        let (mut written, mut read) = (0u32, 0u32);
        for round in 0..2_000 {
            for _ in 0..round % 5 {
                queue.push(&[written as u8]);
                written += 1;
            }
            let count = (round % 4).min(queue.len());
            for &byte in &queue.as_slice()[..count] {
                assert_eq!(byte, read as u8);
                read += 1;
            }
            queue.consume(count);
            assert_eq!(queue.len() as u32, written - read);
            assert!(queue.bytes.len() <= 2 * queue.len() + 8);
        }
        queue.clear();
        assert!(queue.is_empty());
    }
}
