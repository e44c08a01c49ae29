//! Files on their way, each bound to its stream: out as the host has room, in as they come.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::{Owner, Server};
use crate::failure::{Code, Failure, Outcome};
use crate::requests::{
    NamesRequest, PutRequest, ReadRequest, RenameRequest, ScanRequest, SpliceRequest, TarInRequest, TarOutRequest,
};
use crate::tree::{FileOut, Put, Scan, Splice, TreeIn, TreeOut, remove, rename};
use crate::wire::{DATA_CHUNK, FrameType, OUTBOX_HIGH, ReceiveWindow, SendCredit, Violation};

/// Pieces sent before the server looks at its descriptors again.
const BUDGET: usize = 8;

/// The transfers by stream id. MAX_STREAMS bounds them.
#[derive(Debug, Default)]
pub struct Transfers {
    outgoing: BTreeMap<u32, Outgoing>,
    incoming: BTreeMap<u32, Incoming>,
    /// Streams that may go on sending, each at most once.
    ready: VecDeque<u32>,
    begun: u64,
}

#[derive(Debug)]
struct Outgoing {
    source: Source,
    credit: SendCredit,
    queued: bool,
}

#[derive(Debug)]
enum Source {
    Tree(Box<TreeOut>),
    File(FileOut),
    Scan(Scan),
}

#[derive(Debug)]
struct Incoming {
    sink: Sink,
    window: ReceiveWindow,
}

#[derive(Debug)]
enum Sink {
    Tree(Box<TreeIn>),
    Put(Put),
    Splice(Box<Splice>),
}

impl Source {
    fn fill(&mut self, out: &mut Vec<u8>, max: usize) -> Outcome<Option<Value>> {
        match self {
            Source::Tree(tree) => {
                tree.fill(out, max)?;
                Ok(tree.is_over().then(|| tree.result()))
            }
            Source::File(file) => {
                if !file.is_over() {
                    file.fill(out, max)?;
                }
                Ok(file.is_over().then(|| file.result()))
            }
            Source::Scan(scan) => {
                scan.fill(out, max)?;
                Ok(scan.is_over().then(|| scan.result()))
            }
        }
    }
}

impl Transfers {
    /// Whether something can be sent once there is room.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Gives up the transfer of this stream, if it has one.
    pub fn remove(&mut self, stream: u32) {
        self.outgoing.remove(&stream);
        self.incoming.remove(&stream);
    }

    /// Gives up every one.
    pub fn clear(&mut self) {
        *self = Transfers { begun: self.begun, ..Transfers::default() };
    }
}

impl Server {
    pub(super) fn begin_tar_out(&mut self, stream: u32, request: TarOutRequest) -> Outcome<()> {
        let source = Source::Tree(Box::new(TreeOut::begin(request)?));
        self.begin_outgoing(stream, source);
        Ok(())
    }

    pub(super) fn begin_pick(&mut self, stream: u32, request: &NamesRequest) -> Outcome<()> {
        let source = Source::Tree(Box::new(TreeOut::pick(request)?));
        self.begin_outgoing(stream, source);
        Ok(())
    }

    pub(super) fn begin_scan(&mut self, stream: u32, request: &ScanRequest) -> Outcome<()> {
        let source = Source::Scan(Scan::begin(request)?);
        self.begin_outgoing(stream, source);
        Ok(())
    }

    pub(super) fn remove(&mut self, request: &NamesRequest) -> Outcome<Value> {
        self.refuse_frozen(&request.path)?;
        remove(request)
    }

    pub(super) fn rename(&mut self, request: &RenameRequest) -> Outcome<Value> {
        self.refuse_frozen(&request.to)?;
        rename(request)
    }

    pub(super) fn begin_read(&mut self, stream: u32, request: &ReadRequest) -> Outcome<()> {
        let (file, facts) = FileOut::begin(request)?;
        let message = json!({"file": facts}).to_string();
        self.connection.outbox.frame(FrameType::Control, stream, message.as_bytes());
        self.begin_outgoing(stream, Source::File(file));
        Ok(())
    }

    pub(super) fn begin_tar_in(&mut self, stream: u32, request: &TarInRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        self.transfers.begun += 1;
        let tree = TreeIn::begin(request, self.transfers.begun)?;
        self.begin_incoming(stream, Sink::Tree(Box::new(tree)));
        Ok(())
    }

    pub(super) fn begin_splice(&mut self, stream: u32, request: &SpliceRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        self.transfers.begun += 1;
        let splice = Splice::begin(request, self.transfers.begun)?;
        self.begin_incoming(stream, Sink::Splice(Box::new(splice)));
        Ok(())
    }

    pub(super) fn begin_put(&mut self, stream: u32, request: PutRequest) -> Outcome<()> {
        self.refuse_frozen(&request.path)?;
        let put = Put::begin(request)?;
        self.begin_incoming(stream, Sink::Put(put));
        Ok(())
    }

    fn begin_outgoing(&mut self, stream: u32, source: Source) {
        let outgoing = Outgoing { source, credit: SendCredit::default(), queued: true };
        self.transfers.outgoing.insert(stream, outgoing);
        self.transfers.ready.push_back(stream);
        self.owners.insert(stream, Owner::Transfer);
    }

    fn begin_incoming(&mut self, stream: u32, sink: Sink) {
        self.transfers.incoming.insert(stream, Incoming { sink, window: ReceiveWindow::default() });
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
        let Some(incoming) = self.transfers.incoming.get_mut(&stream) else {
            return Ok(());
        };
        incoming.window.receive(bytes.len())?;
        let result = match &mut incoming.sink {
            Sink::Tree(tree) => tree.receive(bytes),
            Sink::Put(put) => put.receive(bytes),
            Sink::Splice(splice) => splice.receive(bytes),
        };
        match result {
            Ok(()) => {
                if let Some(lump) = incoming.window.consume(bytes.len()) {
                    self.connection.outbox.credit(stream, 0, lump);
                }
            }
            Err(failure) => {
                self.transfers.remove(stream);
                self.close(stream, Err(failure));
            }
        }
        Ok(())
    }

    /// END: the transfer of this stream, if it has one, is complete.
    pub(super) fn finish_transfer(&mut self, stream: u32) {
        if let Some(Incoming { sink, .. }) = self.transfers.incoming.remove(&stream) {
            let result = match sink {
                Sink::Tree(tree) => tree.finish(),
                Sink::Put(put) => put.finish(),
                Sink::Splice(splice) => splice.finish(),
            };
            self.close(stream, result);
        }
    }

    /// CREDIT: the host has room for more of this stream.
    pub(super) fn grant_transfer(&mut self, stream: u32, bytes: u32) -> Result<(), Violation> {
        let Some(outgoing) = self.transfers.outgoing.get_mut(&stream) else {
            return Ok(());
        };
        outgoing.credit.grant(bytes)?;
        if !outgoing.queued {
            outgoing.queued = true;
            self.transfers.ready.push_back(stream);
        }
        Ok(())
    }

    /// Sends some of what waits, one piece of one stream at a time, in turn.
    pub(super) fn work_transfers(&mut self) {
        for _ in 0..BUDGET {
            if self.connection.outbox.len() >= OUTBOX_HIGH {
                break;
            }
            let Some(stream) = self.transfers.ready.pop_front() else {
                break;
            };
            self.send_piece(stream);
        }
    }

    fn send_piece(&mut self, stream: u32) {
        let Some(outgoing) = self.transfers.outgoing.get_mut(&stream) else {
            return;
        };
        let room = outgoing.credit.available().min(DATA_CHUNK);
        if room == 0 {
            outgoing.queued = false;
            return;
        }
        let piece = &mut self.piece;
        piece.clear();
        let filled = outgoing.source.fill(piece, room);
        let outbox = &mut self.connection.outbox;
        if !piece.is_empty() && filled.is_ok() {
            outgoing.credit.spend(piece.len());
            outbox.data(stream, 1, piece);
        }
        match filled {
            Ok(None) => self.transfers.ready.push_back(stream),
            Ok(Some(result)) => {
                outbox.end(stream, 1);
                self.transfers.remove(stream);
                self.close(stream, Ok(result));
            }
            Err(failure) => {
                self.transfers.remove(stream);
                self.close(stream, Err(failure));
            }
        }
    }

    /// Ends everything that writes with `failed_precondition`.
    pub(super) fn fail_incoming(&mut self, reason: &str) {
        for (stream, incoming) in std::mem::take(&mut self.transfers.incoming) {
            drop(incoming);
            self.close(stream, Err(Failure::new(Code::FailedPrecondition, reason)));
        }
    }
}
