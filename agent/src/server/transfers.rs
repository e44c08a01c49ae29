//! Files on their way, each bound to its stream: out as the host has room; `arrivals` has those that come in.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::arrivals::Arrivals;
use super::{Owner, Server};
use crate::failure::Outcome;
use crate::requests::{NamesRequest, ReadRequest, RenameRequest, ScanRequest, TarOutRequest};
use crate::tree::{FileOut, Scan, TreeOut, remove, rename};
use crate::wire::{DATA_CHUNK, FrameType, OUTBOX_HIGH, SendCredit, Violation};

/// Pieces sent before the server looks at its descriptors again.
const BUDGET: usize = 8;

/// The transfers by stream id. MAX_STREAMS bounds them.
#[derive(Debug, Default)]
pub struct Transfers {
    outgoing: BTreeMap<u32, Outgoing>,
    /// Streams that may go on sending, each at most once.
    ready: VecDeque<u32>,
    /// The other way.
    pub(super) arrivals: Arrivals,
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
    /// Whether something can be sent once there is room, or written.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || self.arrivals.has_work()
    }

    /// Gives up the transfer of this stream, if it has one.
    pub fn remove(&mut self, stream: u32) {
        self.outgoing.remove(&stream);
        self.arrivals.remove(stream);
    }

    /// Gives up every one.
    pub fn clear(&mut self) {
        self.arrivals.clear();
        *self = Transfers { arrivals: std::mem::take(&mut self.arrivals), ..Transfers::default() };
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

    fn begin_outgoing(&mut self, stream: u32, source: Source) {
        let outgoing = Outgoing { source, credit: SendCredit::default(), queued: true };
        self.transfers.outgoing.insert(stream, outgoing);
        self.transfers.ready.push_back(stream);
        self.owners.insert(stream, Owner::Transfer);
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

    /// Writes and sends some of what waits, one piece of one stream at a time, in turn.
    pub(super) fn work_transfers(&mut self) {
        self.work_splices();
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
}
