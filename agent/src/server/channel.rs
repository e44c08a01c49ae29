//! Bytes in from the channel and out to it, and the coming and going of hosts.

use super::Server;
use super::connection::Incoming;
use super::link::{LinkKind, LinkRead};
use super::poller::Source;
use crate::console;
use crate::failure::errno_words;
use crate::wire::WINDOW;

/// Bytes taken from the channel before they are looked at: all that a stream may have under way, so that whoever reads it is woken once and
/// not for each frame.
const INBOX: usize = WINDOW as usize;

/// Bytes read from the channel that were not looked at yet.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox { bytes: vec![0; INBOX], from: 0, to: 0 }
    }
}

impl Inbox {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }
}

impl Server {
    /// Takes the newest connection that waits, in place of the present one.
    pub(super) fn accept(&mut self) {
        let Some(link) = self.listener.as_ref().and_then(|listener| listener.accept_newest()) else {
            return;
        };
        if let Err(errno) = self.poller.add(&link, Source::Link) {
            console::say(&format!("a connection cannot be watched: {}", errno_words(errno.into())));
            return;
        }
        self.host_left();
        self.link = Some(link);
    }

    /// Reads a chunk and acts on the frames in it, as far as there is room for answers.
    pub(super) fn read_link(&mut self) {
        if self.inbox.is_empty() && self.may_read_link() {
            self.fill_inbox();
        }
        let bytes = std::mem::take(&mut self.inbox.bytes);
        while !self.inbox.is_empty() && self.may_read_link() {
            let mut rest = &bytes[self.inbox.from..self.inbox.to];
            let incoming = self.connection.next(&mut rest);
            self.inbox.from = self.inbox.to - rest.len();
            match incoming {
                None => {}
                Some(Incoming::Sync(sync)) => self.start_connection(&sync),
                Some(Incoming::Violation(violation)) => self.lose_connection(violation),
                Some(Incoming::Frame(frame)) => {
                    if let Err(violation) = self.act_on(frame) {
                        self.lose_connection(violation);
                    }
                }
            }
        }
        self.inbox.bytes = bytes;
    }

    /// Reads as much as fits and is there. A virtio port gives a page at a time, and one look at the descriptors for each would take longer
    /// than the reading.
    fn fill_inbox(&mut self) {
        self.inbox.clear();
        while self.inbox.to < self.inbox.bytes.len() {
            let Some(link) = self.link.as_mut().filter(|link| link.is_readable()) else {
                return;
            };
            match link.read(&mut self.inbox.bytes[self.inbox.to..]) {
                LinkRead::Bytes(count) => self.inbox.to += count,
                LinkRead::Later => return,
                // What came before is looked at first; the next read tells the same again.
                LinkRead::Closed if !self.inbox.is_empty() => return link.set_ready(true, false),
                LinkRead::Closed => return self.link_closed(),
            }
        }
    }

    /// Writes what the channel takes. Nothing is written before a SYNC was seen.
    pub(super) fn flush(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        while self.connection.is_live() && link.is_writable() && !self.connection.outbox.is_empty() {
            let count = link.write(self.connection.outbox.as_slice());
            self.connection.outbox.wrote(count);
        }
    }

    fn link_closed(&mut self) {
        match self.link.as_ref().map(|link| link.kind()) {
            // The port stays. The connection does, too, until the next SYNC: the bytes of a new host can be here before the
            // kernel knows that it has opened its side, and the port reads as closed after them.
            Some(LinkKind::Port) => self.drop_attachments(),
            Some(LinkKind::Connection) => {
                self.host_left();
                self.link = None;
            }
            Some(LinkKind::Only) => self.terminate(),
            None => {}
        }
    }

    /// Nobody listens any more. Streams stay until the next SYNC, but a detached command does not wait for a reader that is
    /// gone.
    fn host_left(&mut self) {
        self.inbox.clear();
        self.connection.lose();
        self.drop_attachments();
    }
}
