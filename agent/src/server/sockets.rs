//! `dial`, `listen` and `accept`: connections, each bound to its stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;

use serde_json::json;

use super::poller::{Readiness, Source};
use super::{Owner, Server};
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::{AcceptRequest, Endpoint};
use crate::sockets::{Acceptor, Carrier, Datagrams, Pipe, Progress, SocketName};
use crate::wire::{FrameType, OUTBOX_HIGH, Violation};

/// Rounds of one connection before the server looks at its descriptors again.
const BUDGET: usize = 8;
/// Connections that wait for the host; more wait in the kernel.
const MAX_WAITING: usize = 64;

/// The sockets by stream id. MAX_STREAMS bounds them.
#[derive(Debug, Default)]
pub struct Sockets {
    pipes: BTreeMap<u32, Box<dyn Carrier>>,
    acceptors: BTreeMap<u32, Acceptor>,
    /// Accepted and not taken yet, by number, with the stream of their listener.
    waiting: BTreeMap<u64, (u32, OwnedFd)>,
    /// Listeners that have more, for which there was no room.
    held_up: BTreeSet<u32>,
    /// Names of sockets that are closed, to be removed when the file system takes writes.
    names: Vec<SocketName>,
    /// Pipes that may have something to do; a stream may be there more than once.
    ready: VecDeque<u32>,
    /// How many were ever accepted.
    accepted: u64,
}

impl Sockets {
    /// Whether something can be done once there is room.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Closes what belongs to this stream, which the host gives up.
    pub fn remove(&mut self, stream: u32) {
        if let Some(mut pipe) = self.pipes.remove(&stream) {
            pipe.abort();
        }
        if let Some(acceptor) = self.acceptors.remove(&stream) {
            self.names.extend(acceptor.close());
            self.held_up.remove(&stream);
            self.waiting.retain(|_, (listener, _)| *listener != stream);
        }
    }

    /// Closes everything, as the host is gone.
    pub fn clear(&mut self) {
        self.pipes.values_mut().for_each(|pipe| pipe.abort());
        let mut names = std::mem::take(&mut self.names);
        names.extend(std::mem::take(&mut self.acceptors).into_values().filter_map(Acceptor::close));
        *self = Sockets { accepted: self.accepted, names, ..Sockets::default() };
    }
}

impl Server {
    pub(super) fn dial(&mut self, stream: u32, endpoint: &Endpoint) -> Outcome<()> {
        self.own_pipe(stream, Box::new(Pipe::dial(stream, endpoint)?))
    }

    pub(super) fn open_datagrams(&mut self, stream: u32, endpoint: &Endpoint) -> Outcome<()> {
        self.own_pipe(stream, Box::new(Datagrams::dial(stream, endpoint)?))
    }

    pub(super) fn accept_socket(&mut self, stream: u32, request: &AcceptRequest) -> Outcome<()> {
        let missing = || Failure::new(Code::NotFound, format!("no connection {} waits", request.id));
        let (listener, fd) = self.sockets.waiting.remove(&request.id).ok_or_else(missing)?;
        let owned = self.own_pipe(stream, Box::new(Pipe::accepted(stream, fd)));
        self.accept_waiting(listener);
        self.accept_held_up();
        owned
    }

    pub(super) fn own_pipe(&mut self, stream: u32, pipe: Box<dyn Carrier>) -> Outcome<()> {
        self.poller
            .add(pipe.as_fd(), Source::Socket(stream))
            .or_fail(Code::ResourceExhausted, "watching a connection")?;
        if pipe.is_connected() {
            self.connection.outbox.frame(FrameType::Control, stream, br#"{"connected":{}}"#);
        }
        self.sockets.pipes.insert(stream, pipe);
        self.sockets.ready.push_back(stream);
        self.owners.insert(stream, Owner::Socket);
        Ok(())
    }

    pub(super) fn listen_socket(&mut self, stream: u32, endpoint: &Endpoint) -> Outcome<()> {
        // Its name would be written, and this loop held up, and with it the thaw.
        if let Some(path) = &endpoint.unix {
            self.refuse_frozen(path)?;
        }
        let acceptor = Acceptor::listen(endpoint)?;
        self.poller.add(&acceptor, Source::Acceptor(stream)).or_fail(Code::ResourceExhausted, "watching a socket")?;
        let message = json!({"listening": {"port": acceptor.port()}}).to_string();
        self.connection.outbox.frame(FrameType::Control, stream, message.as_bytes());
        self.sockets.acceptors.insert(stream, acceptor);
        self.owners.insert(stream, Owner::Socket);
        self.accept_waiting(stream);
        Ok(())
    }

    /// Announces connections of this listener, as far as they may wait here.
    pub(super) fn accept_waiting(&mut self, listener: u32) {
        let Some(acceptor) = self.sockets.acceptors.get(&listener) else {
            return;
        };
        loop {
            if self.sockets.waiting.len() >= MAX_WAITING {
                self.sockets.held_up.insert(listener);
                return;
            }
            let Some(fd) = acceptor.accept() else {
                return;
            };
            self.sockets.accepted += 1;
            let id = self.sockets.accepted;
            self.sockets.waiting.insert(id, (listener, fd));
            let message = json!({"accepted": {"id": id}}).to_string();
            self.connection.outbox.frame(FrameType::Control, listener, message.as_bytes());
        }
    }

    /// There may be room for connections of listeners that had to stop; the kernel does not tell of these again.
    pub(super) fn accept_held_up(&mut self) {
        for listener in std::mem::take(&mut self.sockets.held_up) {
            self.accept_waiting(listener);
        }
    }

    /// Removes the names of sockets that are closed, unless that would hold up this loop, and with it the thaw.
    pub(super) fn remove_names(&mut self) {
        if !self.freezer.holds_writes() {
            self.sockets.names.clear();
        }
    }

    /// The kernel has news about a connection.
    pub(super) fn socket_ready(&mut self, stream: u32, ready: Readiness) {
        if let Some(pipe) = self.sockets.pipes.get_mut(&stream) {
            pipe.set_ready(ready.read, ready.write);
            self.sockets.ready.push_back(stream);
        }
    }

    /// DATA for the connection of this stream, if it has one.
    pub(super) fn receive_socket(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Violation> {
        self.with_pipe(stream, |pipe| pipe.receive(bytes))
    }

    /// END of the host's side.
    pub(super) fn end_socket(&mut self, stream: u32) -> Result<(), Violation> {
        self.with_pipe(stream, |pipe| pipe.end_input())
    }

    /// CREDIT of the host.
    pub(super) fn grant_socket(&mut self, stream: u32, bytes: u32) -> Result<(), Violation> {
        self.with_pipe(stream, |pipe| pipe.grant(bytes))
    }

    fn with_pipe(
        &mut self,
        stream: u32,
        act: impl FnOnce(&mut dyn Carrier) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if let Some(pipe) = self.sockets.pipes.get_mut(&stream) {
            act(pipe.as_mut())?;
            self.sockets.ready.push_back(stream);
        }
        Ok(())
    }

    /// Moves some of what waits, one piece of one connection at a time, in turn.
    pub(super) fn work_sockets(&mut self) {
        for _ in 0..BUDGET {
            if self.connection.outbox.len() >= OUTBOX_HIGH {
                break;
            }
            let Some(stream) = self.sockets.ready.pop_front() else {
                break;
            };
            let Some(pipe) = self.sockets.pipes.get_mut(&stream) else {
                continue;
            };
            match pipe.work(&mut self.scratch, &mut self.connection.outbox) {
                Progress::Waits => {}
                Progress::More => self.sockets.ready.push_back(stream),
                Progress::Redialled => {
                    let watched = self.poller.add(pipe.as_fd(), Source::Socket(stream));
                    if let Err(failure) = watched.or_fail(Code::ResourceExhausted, "watching a connection") {
                        self.sockets.remove(stream);
                        self.flow_ended(stream);
                        self.close(stream, Err(failure));
                    }
                }
                Progress::Over(result) => {
                    self.sockets.pipes.remove(&stream);
                    self.flow_ended(stream);
                    self.close(stream, result);
                }
            }
        }
    }
}
