//! The host-guest wire protocol, generation 1, as pure code: nothing here does I/O.
//!
//! `protocol/README.md` is the specification; section numbers in comments refer to it.

mod byte_queue;
mod credit;
mod decoder;
mod frame;
mod outbox;
mod sync;

pub use byte_queue::ByteQueue;
pub use credit::{CREDIT_LUMP, ReceiveWindow, SendCredit};
pub use decoder::{Decoder, Violation};
pub use frame::{Frame, FrameType, append_frame};
pub use outbox::{OUTBOX_FULL, OUTBOX_HIGH, Outbox};
pub use sync::{Sync, SyncSearch};

/// Bytes of the largest payload of a frame.
pub const MAX_PAYLOAD: usize = 262_144;
/// Bytes of credit that each channel of each stream starts with.
pub const WINDOW: u32 = 262_144;
/// Streams open at once.
pub const MAX_STREAMS: usize = 2048;
/// Bytes of process output in one DATA frame.
pub const DATA_CHUNK: usize = 65_536;
/// Bytes of a frame before its payload.
pub const HEADER: usize = 8;
/// Bytes of a frame after its payload.
pub const TRAILER: usize = 4;
/// The tag of SYNC and ACK (`BNG1`).
pub const HELLO_TAG: u32 = 0x3147_4e42;
/// The newest protocol generation that this agent speaks.
pub const GENERATION: u16 = 1;
