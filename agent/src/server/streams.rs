//! Streams: how they end, and what becomes of them when the host is gone.

use serde_json::{Value, json};

use super::{Owner, Server};
use crate::exec::ExecKey;
use crate::failure::{Code, Failure, Outcome};
use crate::wire::{FrameType, MAX_PAYLOAD};

/// Characters of an error message that are sent.
const MAX_MESSAGE: usize = 4096;

impl Server {
    /// Ends a stream with its result.
    pub(super) fn close(&mut self, stream: u32, result: Outcome<Value>) {
        self.owners.remove(&stream);
        let mut payload = match result {
            Ok(value) => json!({"ok": value}),
            Err(mut failure) => {
                let end = failure.message.floor_char_boundary(MAX_MESSAGE);
                failure.message.truncate(end);
                json!({"error": failure.to_json()})
            }
        }
        .to_string();
        if payload.len() > MAX_PAYLOAD {
            let failure = Failure::new(Code::ResourceExhausted, "the answer does not fit a frame");
            payload = json!({"error": failure.to_json()}).to_string();
        }
        let outbox = &mut self.connection.outbox;
        outbox.frame(FrameType::Close, stream, payload.as_bytes());
    }

    /// Sends credit for channel 0 to whoever follows the command.
    pub(super) fn return_credit(&mut self, key: ExecKey, lump: Option<u32>) {
        let attachment = self.execs.get(key).and_then(|exec| exec.attachment.as_ref());
        if let (Some(attachment), Some(lump)) = (attachment, lump) {
            self.connection.outbox.credit(attachment.stream, 0, lump);
        }
    }

    /// All streams vanish: commands that are not detached are killed, unfinished files removed (section 6).
    pub(super) fn forget_streams(&mut self) {
        self.owners.clear();
        self.uploads.clear();
        self.transfers.clear();
        self.sockets.clear();
        self.remove_names();
        if let Some(egress) = &mut self.egress {
            egress.detach();
        }
        for key in self.execs.keys() {
            if let Some(exec) = self.execs.get(key) {
                exec.abandon();
            }
            self.enqueue(key);
        }
    }

    /// Detaches every detached command from its stream.
    pub(super) fn drop_attachments(&mut self) {
        for key in self.execs.keys() {
            let exec = self.execs.get(key).filter(|exec| exec.ring.is_some());
            if let Some(attachment) = exec.and_then(|exec| exec.attachment.take()) {
                self.owners.remove(&attachment.stream);
                self.enqueue(key);
            }
        }
    }

    /// Binds a stream to a command.
    pub(super) fn own(&mut self, stream: u32, key: ExecKey) {
        self.owners.insert(stream, Owner::Exec(key));
    }
}
