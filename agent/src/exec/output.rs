//! One output of a command: the reading end of a pipe, or a terminal's master.

use std::os::fd::OwnedFd;

use rustix::io::{self, Errno};

/// Bytes read from a terminal after its command has ended; a background process could write for ever.
const TTY_DRAIN: usize = 1024 * 1024;

/// The agent's end of an output. Closed once its end was seen.
#[derive(Debug, Default)]
pub struct Output {
    source: Option<OwnedFd>,
    tty: bool,
    readable: bool,
    /// After the command's end: bytes that may still be read.
    drain: Option<usize>,
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Later,
    /// Nothing ever.
    End,
}

impl Output {
    /// An open output. The descriptor must be non-blocking.
    pub fn new(source: OwnedFd, tty: bool) -> Self {
        Output { source: Some(source), tty, ..Output::default() }
    }

    /// The descriptor, while it is open.
    pub fn source(&self) -> Option<&OwnedFd> {
        self.source.as_ref()
    }

    /// Whether the end was seen.
    pub fn is_closed(&self) -> bool {
        self.source.is_none()
    }

    /// Whether a read is worth trying.
    pub fn is_readable(&self) -> bool {
        self.readable && self.source.is_some()
    }

    /// Whether the command has ended and everything it wrote was read.
    pub fn is_drained(&self) -> bool {
        self.drain == Some(0)
    }

    /// Notes that the kernel has news.
    pub fn set_readable(&mut self) {
        self.readable = true;
    }

    /// Notes that the command has ended: only what is in the pipe now will still be read.
    pub fn command_ended(&mut self) {
        let Some(source) = &self.source else {
            return;
        };
        let pending = || rustix::io::ioctl_fionread(source).unwrap_or(0) as usize;
        self.drain = Some(if self.tty { TTY_DRAIN } else { pending() });
        self.readable = true;
    }

    /// Forgets what could still be read.
    pub fn close(&mut self) {
        self.source = None;
    }

    /// Reads into `buffer`, which must not be empty. After `End` the descriptor is closed.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        let Some(source) = &self.source else {
            return Read::End;
        };
        let length = buffer.len().min(self.drain.unwrap_or(usize::MAX));
        let result = match length {
            0 => Ok(0),
            _ => io::retry_on_intr(|| io::read(source, &mut buffer[..length])),
        };
        match result {
            Ok(count) if count > 0 => {
                self.drain = self.drain.map(|left| left - count);
                Read::Bytes(count)
            }
            Err(Errno::AGAIN) if self.drain.is_none() => {
                self.readable = false;
                Read::Later
            }
            // End of file; EIO from a terminal that nobody has open; empty after the command's end; or broken.
            _ => {
                self.source = None;
                Read::End
            }
        }
    }
}
