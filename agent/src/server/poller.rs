//! epoll(7), edge-triggered: each descriptor is added once, and readiness is remembered until the kernel says `EAGAIN`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{self, Errno};

use crate::exec::ExecKey;

/// Events taken from the kernel at once.
const BATCH: usize = 64;

/// What a watched descriptor is to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The channel to the host.
    Link,
    /// Where new channels come from.
    Listener,
    /// The signalfd.
    Signals,
    /// Standard input of a command.
    Input(ExecKey),
    /// Output 0 or 1 of a command.
    Output(ExecKey, usize),
    /// The connection of a stream.
    Socket(u32),
    /// The listening socket of a stream.
    Acceptor(u32),
    /// The TUN device.
    Device,
    /// Where the kernel hands over connections that go out.
    Outgoing,
}

/// What a descriptor became ready for. An error or hang-up counts as both: trying will tell.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// A read may give something.
    pub read: bool,
    /// A write may be taken.
    pub write: bool,
}

/// The epoll instance.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poller {
    /// An instance that watches nothing.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let events = Vec::with_capacity(BATCH);
        Ok(Poller { epoll, events })
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        let flags = match source {
            Source::Listener | Source::Signals | Source::Acceptor(_) | Source::Device | Source::Outgoing => {
                EventFlags::IN
            }
            Source::Input(_) => EventFlags::OUT,
            Source::Output(..) => EventFlags::IN,
            Source::Link | Source::Socket(_) => EventFlags::IN | EventFlags::OUT,
        };
        let data = EventData::new_u64(source.to_token());
        epoll::add(&self.epoll, fd, data, flags | EventFlags::ET)
    }

    /// Watches a signalfd anew: epoll has it wait for the process that added it (signalfd(2), "epoll(7) semantics").
    pub fn renew(&self, fd: impl AsFd, source: Source) -> io::Result<()> {
        epoll::delete(&self.epoll, fd.as_fd())?;
        self.add(fd, source)
    }

    /// Waits until something is ready, at most for `timeout`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<(Source, Readiness)>> {
        let timeout =
            timeout.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
        self.events.clear();
        let buffer = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let found = self.events.iter().filter_map(|event| {
            let (flags, token) = (event.flags, event.data.u64());
            let any = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            let readiness = Readiness {
                read: any || flags.contains(EventFlags::IN),
                write: any || flags.contains(EventFlags::OUT),
            };
            Some((Source::from_token(token)?, readiness))
        });
        Ok(found.collect())
    }
}

impl Source {
    fn to_token(self) -> u64 {
        match self {
            Source::Link => 0,
            Source::Listener => 1,
            Source::Signals => 2,
            Source::Device => 1 << 3,
            Source::Outgoing => 1 << 3 | 1,
            Source::Input(key) => key << 3 | 3,
            Source::Output(key, 0) => key << 3 | 4,
            Source::Output(key, _) => key << 3 | 5,
            Source::Socket(stream) => u64::from(stream) << 3 | 6,
            Source::Acceptor(stream) => u64::from(stream) << 3 | 7,
        }
    }

    fn from_token(token: u64) -> Option<Self> {
        let key = token >> 3;
        Some(match token & 7 {
            0 if key == 1 => Source::Device,
            1 if key == 1 => Source::Outgoing,
            0 => Source::Link,
            1 => Source::Listener,
            2 => Source::Signals,
            3 => Source::Input(key),
            4 => Source::Output(key, 0),
            5 => Source::Output(key, 1),
            6 => Source::Socket(u32::try_from(key).ok()?),
            _ => Source::Acceptor(u32::try_from(key).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_source() {
        for source in [
            Source::Link,
            Source::Listener,
            Source::Signals,
            Source::Input(1),
            Source::Output(1 << 40, 0),
            Source::Output(7, 1),
            Source::Socket(1),
            Source::Acceptor(u32::MAX),
            Source::Device,
            Source::Outgoing,
        ] {
            assert_eq!(Source::from_token(source.to_token()), Some(source));
        }
        assert_eq!(Source::from_token(u64::MAX), None);
    }
}
