//! Frames waiting to be written to the channel.

use super::{ByteQueue, FrameType, HELLO_TAG, append_frame};

/// With this many bytes waiting no more process output is read.
pub const OUTBOX_HIGH: usize = 256 * 1024;
/// With this many bytes waiting the channel itself is no longer read, so that answers cannot pile up.
pub const OUTBOX_FULL: usize = 1024 * 1024;

/// The queue of outgoing frames of a connection. Bounded by its users with `OUTBOX_HIGH` and `OUTBOX_FULL`.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: ByteQueue,
    tag: u32,
}

impl Outbox {
    /// Starts a connection with this tag: what was waiting is forgotten, and the ACK goes out first.
    pub fn start(&mut self, tag: u32, nonce: &[u8; 16], facts: &[u8]) {
        self.queue.clear();
        self.tag = tag;
        let head = [&nonce[..], &super::GENERATION.to_le_bytes()].concat();
        let ack = (FrameType::Ack, 0);
        append_frame(self.queue.tail(), HELLO_TAG, ack, &head, facts);
    }

    /// Adds a frame with this payload, at most `MAX_PAYLOAD` bytes.
    pub fn frame(&mut self, kind: FrameType, stream: u32, payload: &[u8]) {
        append_frame(self.queue.tail(), self.tag, (kind, stream), payload, &[]);
    }

    /// Adds DATA on a channel.
    pub fn data(&mut self, stream: u32, channel: u8, bytes: &[u8]) {
        let data = (FrameType::Data, stream);
        append_frame(self.queue.tail(), self.tag, data, &[channel], bytes);
    }

    /// Adds CREDIT for a channel.
    pub fn credit(&mut self, stream: u32, channel: u8, bytes: u32) {
        let credit = (FrameType::Credit, stream);
        let amount = bytes.to_le_bytes();
        append_frame(self.queue.tail(), self.tag, credit, &[channel], &amount);
    }

    /// Adds END for a channel.
    pub fn end(&mut self, stream: u32, channel: u8) {
        self.frame(FrameType::End, stream, &[channel]);
    }

    /// The bytes to write next.
    pub fn as_slice(&self) -> &[u8] {
        self.queue.as_slice()
    }

    /// Number of bytes that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Counts `count` bytes as written.
    pub fn wrote(&mut self, count: usize) {
        self.queue.consume(count);
    }

    /// Forgets what waits: nobody is there to read it.
    pub fn clear(&mut self) {
        self.queue.clear();
    }
}
