//! The one loop: it waits for the kernel, reads the channel, runs commands and writes answers. One thread, no helpers.

mod arrivals;
mod channel;
mod connection;
mod egress;
mod frames;
mod freezer;
mod link;
mod listener;
mod poller;
mod reaper;
mod requests;
mod shutdown;
mod signals;
mod sockets;
mod streams;
mod transfers;
mod uploads;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::egress::Egress;
use crate::exec::{ExecKey, Execs, Job, Launcher};
use crate::failure::{Code, OrFail, Outcome};
use crate::system::Machine;
use crate::wire::{DATA_CHUNK, OUTBOX_FULL, OUTBOX_HIGH};

use channel::Inbox;
use connection::Connection;
use freezer::Freezer;
use poller::{Poller, Readiness, Source};
use shutdown::Shutdown;
use signals::SignalFd;
use sockets::Sockets;
use transfers::Transfers;
use uploads::Uploads;

pub use link::{Link, LinkKind};
pub use listener::Listener;

/// Where the host comes from.
pub enum Channel {
    /// A descriptor that is there for good: a virtio port, or a socket whose end is the agent's end.
    Fixed(Link),
    /// Connections one after the other; the newest wins.
    Listening(Listener),
}

/// The state of everything that the agent serves.
pub struct Server {
    poller: Poller,
    signals: SignalFd,
    listener: Option<Listener>,
    link: Option<Link>,
    connection: Connection,
    /// What streams stand for, by stream id.
    owners: BTreeMap<u32, Owner>,
    execs: Execs,
    /// Files under way, by stream id.
    uploads: Uploads,
    freezer: Freezer,
    transfers: Transfers,
    sockets: Sockets,
    /// Present once a host has asked for it.
    egress: Option<Egress>,
    /// Jobs that put frames into the outbox, done while it is below `OUTBOX_HIGH`. A command has each job here at most once.
    sending: VecDeque<(ExecKey, Job)>,
    /// Jobs that only keep output, done in any case.
    keeping: VecDeque<(ExecKey, Job)>,
    launcher: Launcher,
    machine: Box<dyn Machine>,
    /// Present once configured: defaults of the environment.
    env: Option<BTreeMap<String, String>>,
    shutdown: Option<Shutdown>,
    inbox: Inbox,
    scratch: Vec<u8>,
    /// The piece of a file that is being sent.
    piece: Vec<u8>,
    turn: usize,
    /// Whether the last look found no child at all.
    childless: bool,
}

/// Who answers for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Exec(ExecKey),
    Upload,
    Transfer,
    Socket,
    Egress,
    Shutdown,
}

impl Server {
    /// A server on this channel. `is_init`: the agent is process 1; if not, commands die with it and TERM ends it.
    pub fn new(channel: Channel, machine: Box<dyn Machine>, is_init: bool) -> Outcome<Self> {
        let poller = Poller::new().or_fail(Code::Internal, "opening epoll")?;
        let signals = SignalFd::new(!is_init).or_fail(Code::Internal, "opening a signalfd")?;
        let add =
            |fd: BorrowedFd, source| poller.add(fd, source).or_fail(Code::Internal, format!("watching {source:?}"));
        add(signals.as_fd(), Source::Signals)?;
        let (mut link, mut listener) = (None, None);
        match channel {
            Channel::Fixed(fixed) => {
                add(fixed.as_fd(), Source::Link)?;
                link = Some(fixed);
            }
            Channel::Listening(listening) => {
                add(listening.as_fd(), Source::Listener)?;
                listener = Some(listening);
            }
        }
        Ok(Server {
            poller,
            signals,
            listener,
            link,
            connection: Connection::default(),
            owners: BTreeMap::new(),
            execs: Execs::default(),
            uploads: Uploads::default(),
            freezer: Freezer::default(),
            transfers: Transfers::default(),
            sockets: Sockets::default(),
            egress: None,
            sending: VecDeque::new(),
            keeping: VecDeque::new(),
            launcher: Launcher::new(!is_init),
            machine,
            env: None,
            shutdown: None,
            inbox: Inbox::default(),
            scratch: vec![0; DATA_CHUNK],
            piece: Vec::with_capacity(DATA_CHUNK),
            turn: 0,
            childless: false,
        })
    }

    /// Plays a guest that was configured before: one that goes on from a snapshot.
    pub fn assume_configured(&mut self, env: BTreeMap<String, String>) {
        self.env = Some(env);
    }

    /// Serves until the machine is powered off. Returns only when the kernel refuses to wait.
    pub fn run(&mut self) -> Outcome<()> {
        loop {
            let timeout = self.timeout();
            let sources = self.poller.wait(timeout).or_fail(Code::Internal, "waiting for events")?;
            for (source, readiness) in sources {
                self.note(source, readiness);
            }
            self.take_signals();
            self.expire();
            self.expire_freeze();
            self.read_link();
            self.remove_names();
            self.work_in_turn();
            self.advance_shutdown();
            self.flush();
        }
    }

    fn note(&mut self, source: Source, ready: Readiness) {
        match source {
            Source::Link => {
                if let Some(link) = &mut self.link {
                    link.set_ready(ready.read, ready.write);
                }
            }
            Source::Listener => self.accept(),
            Source::Signals => self.signals.set_readable(),
            Source::Input(key) => self.input_ready(key),
            Source::Output(key, output) => self.output_ready(key, output),
            Source::Socket(stream) => self.socket_ready(stream, ready),
            Source::Acceptor(stream) => self.accept_waiting(stream),
            Source::Device => self.device_ready(),
            Source::Outgoing => self.flows_ready(),
        }
    }

    /// Commands, files and connections share the way out; whoever was first is last the next time.
    fn work_in_turn(&mut self) {
        let work = [Self::work, Self::work_transfers, Self::work_sockets, Self::work_egress];
        self.turn = (self.turn + 1) % work.len();
        for step in 0..work.len() {
            work[(self.turn + step) % work.len()](self);
        }
    }

    /// Whether something can be done without waiting.
    fn has_work(&self) -> bool {
        let sends =
            !self.sending.is_empty() || self.transfers.has_work() || self.sockets.has_work() || self.egress_has_work();
        let sending = sends && self.connection.outbox.len() < OUTBOX_HIGH;
        sending || !self.keeping.is_empty() || self.may_read_link()
    }

    /// Whether input is there and its answers would find room.
    fn may_read_link(&self) -> bool {
        let input = !self.inbox.is_empty() || self.link.as_ref().is_some_and(Link::is_readable);
        let room = !self.connection.is_live() || self.connection.outbox.len() < OUTBOX_FULL;
        input && room
    }

    /// How long nothing has to be done unless the kernel has news. The clock of an emulated machine is slow to read, and is asked only when
    /// something waits for it.
    fn timeout(&mut self) -> Option<Duration> {
        if self.has_work() {
            return Some(Duration::ZERO);
        }
        self.next_deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let execs = self.execs.iter().filter_map(|(_, exec)| exec.deadline).min();
        let shutdown = self.shutdown.as_ref().and_then(Shutdown::deadline);
        execs.into_iter().chain(shutdown).chain(self.freezer.deadline()).min()
    }
}
