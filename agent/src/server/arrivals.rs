//! Files that come in, each bound to its stream.

use std::collections::{BTreeMap, VecDeque};

use super::{Owner, Server};
use crate::failure::{Code, Failure, Outcome};
use crate::requests::{PutRequest, SpliceRequest, TarInRequest};
use crate::tree::{Put, Splice, TreeIn};
use crate::wire::{ReceiveWindow, Violation};

/// Pieces of splices written before the server looks at its descriptors again.
const BUDGET: usize = 8;

/// What comes in, by stream id. MAX_STREAMS bounds it.
#[derive(Debug, Default)]
pub struct Arrivals {
    by_stream: BTreeMap<u32, Incoming>,
    /// Streams whose splices have something to do, each at most once; some may be gone.
    busy: VecDeque<u32>,
    begun: u64,
}

#[derive(Debug)]
struct Incoming {
    sink: Sink,
    window: ReceiveWindow,
    busy: bool,
    /// END was seen before all was done that came.
    ended: bool,
}

#[derive(Debug)]
enum Sink {
    Tree(Box<TreeIn>),
    Put(Put),
    Splice(Box<Splice>),
}

impl Arrivals {
    /// Whether something can be written.
    pub fn has_work(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Gives up what comes on this stream, if there is something.
    pub fn remove(&mut self, stream: u32) {
        self.by_stream.remove(&stream);
    }

    /// Gives up all of it.
    pub fn clear(&mut self) {
        *self = Arrivals { begun: self.begun, ..Arrivals::default() };
    }
}

impl Server {
    pub(super) fn begin_tar_in(&mut self, stream: u32, request: &TarInRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        self.transfers.arrivals.begun += 1;
        let tree = TreeIn::begin(request, self.transfers.arrivals.begun)?;
        self.begin_incoming(stream, Sink::Tree(Box::new(tree)));
        Ok(())
    }

    pub(super) fn begin_splice(&mut self, stream: u32, request: &SpliceRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        self.transfers.arrivals.begun += 1;
        let splice = Splice::begin(request, self.transfers.arrivals.begun)?;
        self.begin_incoming(stream, Sink::Splice(Box::new(splice)));
        Ok(())
    }

    pub(super) fn begin_put(&mut self, stream: u32, request: PutRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        let put = Put::begin(request)?;
        self.begin_incoming(stream, Sink::Put(put));
        Ok(())
    }

    fn begin_incoming(&mut self, stream: u32, sink: Sink) {
        let incoming = Incoming { sink, window: ReceiveWindow::default(), busy: false, ended: false };
        self.transfers.arrivals.by_stream.insert(stream, incoming);
        self.owners.insert(stream, Owner::Transfer);
    }

    pub(super) fn refuse_frozen(&self, path: &str) -> Outcome<()> {
        match self.freezer.holds_writes() {
            true => {
                let message = format!("writing {path}: the guest's file system is frozen");
                Err(Failure::new(Code::FailedPrecondition, message))
            }
            false => Ok(()),
        }
    }

    /// DATA: more for the transfer of this stream, if it has one.
    pub(super) fn receive_transfer(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Violation> {
        let Some(incoming) = self.transfers.arrivals.by_stream.get_mut(&stream) else {
            return Ok(());
        };
        incoming.window.receive(bytes.len())?;
        let result = match &mut incoming.sink {
            Sink::Tree(tree) => tree.receive(bytes),
            Sink::Put(put) => put.receive(bytes),
            Sink::Splice(splice) => {
                splice.receive(bytes);
                if !std::mem::replace(&mut incoming.busy, true) {
                    self.transfers.arrivals.busy.push_back(stream);
                }
                return Ok(());
            }
        };
        match result {
            Ok(()) => {
                if let Some(lump) = incoming.window.consume(bytes.len()) {
                    self.connection.outbox.credit(stream, 0, lump);
                }
            }
            Err(failure) => {
                self.transfers.arrivals.remove(stream);
                self.close(stream, Err(failure));
            }
        }
        Ok(())
    }

    /// END: the transfer of this stream, if it has one, is complete.
    pub(super) fn finish_transfer(&mut self, stream: u32) {
        if let Some(incoming) = self.transfers.arrivals.by_stream.get_mut(&stream).filter(|incoming| incoming.busy) {
            incoming.ended = true;
            return;
        }
        if let Some(Incoming { sink, .. }) = self.transfers.arrivals.by_stream.remove(&stream) {
            let result = match sink {
                Sink::Tree(tree) => tree.finish(),
                Sink::Put(put) => put.finish(),
                Sink::Splice(splice) => splice.finish(),
            };
            self.close(stream, result);
        }
    }

    /// Writes some of what splices have, one piece of one at a time, in turn.
    pub(super) fn work_splices(&mut self) {
        for _ in 0..BUDGET {
            let Some(stream) = self.transfers.arrivals.busy.pop_front() else {
                break;
            };
            self.splice_piece(stream);
        }
    }

    fn splice_piece(&mut self, stream: u32) {
        let Some(incoming) = self.transfers.arrivals.by_stream.get_mut(&stream) else {
            return;
        };
        let Sink::Splice(splice) = &mut incoming.sink else {
            return;
        };
        match splice.work() {
            Ok((count, more)) => {
                incoming.busy = more;
                if let Some(lump) = incoming.window.consume(count).filter(|_| !incoming.ended) {
                    self.connection.outbox.credit(stream, 0, lump);
                }
                match (more, incoming.ended) {
                    (true, _) => self.transfers.arrivals.busy.push_back(stream),
                    (false, true) => self.finish_transfer(stream),
                    (false, false) => {}
                }
            }
            Err(failure) => {
                self.transfers.arrivals.remove(stream);
                self.close(stream, Err(failure));
            }
        }
    }

    /// Ends everything that writes with `failed_precondition`.
    pub(super) fn fail_incoming(&mut self, reason: &str) {
        for (stream, incoming) in std::mem::take(&mut self.transfers.arrivals.by_stream) {
            drop(incoming);
            self.close(stream, Err(Failure::new(Code::FailedPrecondition, reason)));
        }
    }
}
