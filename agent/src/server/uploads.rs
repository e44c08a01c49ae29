//! `write`: files under way, each bound to its stream.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Owner, Server};
use crate::failure::{Code, Failure, Outcome};
use crate::requests::WriteRequest;
use crate::upload::{Piece, Upload};
use crate::wire::Violation;

/// The files by stream id. MAX_STREAMS bounds them; what they have received is in the file system.
#[derive(Debug, Default)]
pub struct Uploads {
    by_stream: BTreeMap<u32, Upload>,
    /// How many there ever were.
    begun: u64,
}

impl Uploads {
    /// Gives up the file of this stream, if it has one.
    pub fn remove(&mut self, stream: u32) {
        self.by_stream.remove(&stream);
    }

    /// Gives up every file.
    pub fn clear(&mut self) {
        self.by_stream.clear();
    }
}

impl Server {
    /// Begins a file. The stream is answered when it is in its place.
    pub(super) fn begin_upload(&mut self, stream: u32, request: &WriteRequest) -> Outcome<()> {
        // It would hold up this loop, and with it the thaw.
        if self.freezer.holds_writes() {
            let message = format!("writing {}: the guest's file system is frozen", request.path);
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        self.uploads.begun += 1;
        let upload = Upload::begin(request, self.uploads.begun)?;
        self.uploads.by_stream.insert(stream, upload);
        self.owners.insert(stream, Owner::Upload);
        Ok(())
    }

    /// DATA: more of the file of this stream, if it has one.
    pub(super) fn receive_upload(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Violation> {
        let Some(upload) = self.uploads.by_stream.get_mut(&stream) else {
            return Ok(());
        };
        match upload.receive(bytes)? {
            Piece::Written(None) => {}
            Piece::Written(Some(lump)) => self.connection.outbox.credit(stream, 0, lump),
            Piece::Failed(failure) => {
                self.uploads.remove(stream);
                self.close(stream, Err(failure));
            }
        }
        Ok(())
    }

    /// END: the file of this stream, if it has one, is whole.
    pub(super) fn finish_upload(&mut self, stream: u32) {
        if let Some(upload) = self.uploads.by_stream.remove(&stream) {
            let result = upload.finish().map(|bytes| json!({"bytes": bytes}));
            self.close(stream, result);
        }
    }

    /// Ends every file under way with `failed_precondition`.
    pub(super) fn fail_uploads(&mut self, reason: &str) {
        self.fail_incoming(reason);
        for (stream, upload) in std::mem::take(&mut self.uploads.by_stream) {
            drop(upload);
            self.close(stream, Err(Failure::new(Code::FailedPrecondition, reason)));
        }
    }
}
