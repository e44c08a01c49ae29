//! The state of the connection: searching for a SYNC, or live with a tag; and what goes out.

use crate::wire::{Decoder, Frame, FrameType, Outbox, Sync, SyncSearch, Violation};

/// One connection after the other on whatever the channel is.
#[derive(Debug, Default)]
pub struct Connection {
    state: State,
    /// Frames to the host. Written only while the connection is live.
    pub outbox: Outbox,
    /// The highest stream id that the host has used.
    last_stream: u32,
}

#[derive(Debug)]
enum State {
    Searching(SyncSearch),
    Live(Decoder),
}

impl Default for State {
    fn default() -> Self {
        State::Searching(SyncSearch::default())
    }
}

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A new connection begins.
    Sync(Sync),
    /// A frame other than SYNC.
    Frame(Frame),
    /// The connection is lost.
    Violation(Violation),
}

impl Connection {
    /// Takes bytes from the front of `input` until something is complete; `None` when all were taken.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Incoming> {
        let decoder = match &mut self.state {
            State::Searching(search) => return search.search(input).map(Incoming::Sync),
            State::Live(decoder) => decoder,
        };
        let frame = match decoder.decode(input) {
            Ok(frame) => frame?,
            Err(violation) => return Some(Incoming::Violation(violation)),
        };
        if frame.kind != FrameType::Sync {
            return Some(Incoming::Frame(frame));
        }
        let sync = Sync::parse(&frame.payload).filter(|_| frame.stream == 0);
        Some(sync.map_or(Incoming::Violation(Violation::Rule("malformed SYNC")), Incoming::Sync))
    }

    /// Starts over with the tag of this SYNC, and answers it.
    pub fn start(&mut self, sync: &Sync, facts: &[u8]) {
        self.state = State::Live(Decoder::new(sync.tag()));
        self.outbox.start(sync.tag(), &sync.nonce, facts);
        self.last_stream = 0;
    }

    /// Goes back to searching for a SYNC. Nothing is sent any more.
    pub fn lose(&mut self) {
        self.state = State::default();
        self.outbox.clear();
    }

    /// Whether frames may be sent.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Checks the id of a stream that the host opens: odd, and higher than all before.
    pub fn check_new_stream(&mut self, stream: u32) -> Result<(), Violation> {
        if stream.is_multiple_of(2) || stream <= self.last_stream {
            return Err(Violation::Rule("OPEN with an id that is not odd and ascending"));
        }
        self.last_stream = stream;
        Ok(())
    }
}
