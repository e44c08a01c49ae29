//! The input of a command: bytes that wait for it, and the writing end of its pipe or terminal.

use std::os::fd::OwnedFd;

use rustix::io::{self, Errno};

use crate::wire::ByteQueue;

/// End of transmission, what Ctrl-D types.
const EOT: u8 = 4;

/// Input on its way to a command. The sender's credit bounds what waits here (WINDOW).
#[derive(Debug)]
pub struct Input {
    sink: Option<OwnedFd>,
    tty: bool,
    writable: bool,
    ended: bool,
    waiting: ByteQueue,
    /// The last byte of input was not the end of a line.
    mid_line: bool,
}

impl Input {
    /// Input that goes to `sink`, non-blocking; without one it is discarded.
    pub fn new(sink: Option<OwnedFd>, tty: bool) -> Self {
        Input { sink, tty, writable: true, ended: false, waiting: ByteQueue::default(), mid_line: false }
    }

    /// The descriptor, while it is open.
    pub fn sink(&self) -> Option<&OwnedFd> {
        self.sink.as_ref()
    }

    /// Whether END was seen.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Notes that the kernel may have room.
    pub fn set_writable(&mut self) {
        self.writable = true;
    }

    /// Forgets what waits, and END: another sender takes over.
    pub fn restart(&mut self) {
        self.ended = false;
        self.waiting.clear();
    }

    /// Takes input. Returns how many bytes, of these and earlier ones, were consumed now.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if let Some(last) = bytes.last() {
            self.mid_line = *last != b'\n';
        }
        if self.sink.is_none() {
            return bytes.len();
        }
        let direct = match self.waiting.is_empty() {
            true => self.write(bytes),
            false => 0,
        };
        if self.sink.is_none() {
            return bytes.len();
        }
        self.waiting.push(&bytes[direct..]);
        direct + self.flush()
    }

    /// Notes that nothing more comes. A pipe is closed once all was written; on a terminal end of transmission is typed.
    pub fn end(&mut self) {
        self.ended = true;
        if self.tty && self.sink.is_some() {
            // In the middle of a line the first one only hands the line over (termios(3), VEOF).
            let count = if self.mid_line { 2 } else { 1 };
            self.waiting.push(&[EOT; 2][..count]);
        }
        self.flush();
    }

    /// Writes what waits as far as there is room. Returns how many bytes were consumed.
    pub fn flush(&mut self) -> usize {
        let mut consumed = 0;
        while self.sink.is_some() && self.writable && !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            let count = self.write(waiting.as_slice());
            self.waiting = waiting;
            self.waiting.consume(count);
            consumed += count;
        }
        if self.sink.is_none() {
            consumed += self.waiting.len();
            self.waiting.clear();
        } else if self.ended && !self.tty && self.waiting.is_empty() {
            self.sink = None;
        }
        consumed
    }

    /// Stops writing and closes the sink; returns how many waiting bytes were thereby consumed.
    pub fn close(&mut self) -> usize {
        self.sink = None;
        self.flush()
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(sink) = &self.sink else {
            return 0;
        };
        if !self.writable || bytes.is_empty() {
            return 0;
        }
        match io::retry_on_intr(|| io::write(sink, bytes)) {
            Ok(count) => count,
            Err(Errno::AGAIN) => {
                self.writable = false;
                0
            }
            // The command has closed its input, or is gone.
            Err(_) => {
                self.sink = None;
                0
            }
        }
    }
}
