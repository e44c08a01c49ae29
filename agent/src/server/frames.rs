//! From a frame to what it asks for. A rule that a frame breaks is a violation, and the connection is lost.

use serde_json::json;

use super::{Owner, Server};
use crate::console;
use crate::exec::{ExecKey, resize, signal_from_name};
use crate::files::read_line;
use crate::requests::ControlMessage;
use crate::system::uptime_ms;
use crate::wire::{Frame, FrameType, MAX_STREAMS, Sync, Violation};

impl Server {
    /// A new host: everything of the old one is forgotten, and the ACK goes out.
    pub(super) fn start_connection(&mut self, sync: &Sync) {
        self.forget_streams();
        let uname = rustix::system::uname();
        let facts = json!({
            "agent": env!("CARGO_PKG_VERSION"),
            "bootId": read_line("/proc/sys/kernel/random/boot_id"),
            "kernel": uname.release().to_string_lossy(),
            "uptimeMs": uptime_ms(),
            "configured": self.env.is_some(),
            "streams": MAX_STREAMS,
        });
        self.connection.start(sync, facts.to_string().as_bytes());
    }

    /// The host broke the protocol: back to waiting for a SYNC.
    pub(super) fn lose_connection(&mut self, violation: Violation) {
        console::say(&format!("connection dropped: {violation:?}"));
        self.forget_streams();
        self.connection.lose();
    }

    /// Does what a frame says.
    pub(super) fn act_on(&mut self, frame: Frame) -> Result<(), Violation> {
        let Frame { kind, stream, payload } = frame;
        match kind {
            FrameType::Ping if stream == 0 && payload.len() == 8 => {
                self.connection.outbox.frame(FrameType::Pong, 0, &payload);
            }
            FrameType::Pong if stream == 0 && payload.len() == 8 => {}
            FrameType::Open => {
                self.connection.check_new_stream(stream)?;
                self.open(stream, &payload);
            }
            FrameType::Data if payload.len() > 1 && payload[0] == 0 => {
                self.receive_upload(stream, &payload[1..])?;
                self.receive_transfer(stream, &payload[1..])?;
                self.receive_socket(stream, &payload[1..])?;
                self.receive_answer(stream, &payload[1..])?;
                self.with_exec(stream, |server, key| server.receive(key, &payload[1..]))?;
            }
            FrameType::Credit if payload.len() == 5 && matches!(payload[0], 1 | 2) => {
                let bytes = u32::from_le_bytes([payload[1], payload[2], payload[3], payload[4]]);
                let output = usize::from(payload[0] - 1);
                if output == 0 {
                    self.grant_transfer(stream, bytes)?;
                    self.grant_socket(stream, bytes)?;
                    self.grant_questions(stream, bytes)?;
                }
                self.with_exec(stream, |server, key| server.grant(key, output, bytes))?;
            }
            FrameType::End if payload == [0] => {
                self.finish_upload(stream);
                self.finish_transfer(stream);
                self.end_socket(stream)?;
                self.with_exec(stream, |server, key| server.end_input(key))?;
            }
            FrameType::Control => {
                self.control_egress(stream, &payload);
                // A message that is not understood is ignored, as its unknown members are.
                let message = serde_json::from_slice(&payload).unwrap_or_default();
                self.with_exec(stream, |server, key| server.control(key, &message))?;
            }
            FrameType::Reset if payload.is_empty() => {
                self.uploads.remove(stream);
                self.transfers.remove(stream);
                self.sockets.remove(stream);
                self.remove_names();
                self.accept_held_up();
                self.end_egress(stream);
                self.with_exec(stream, |server, key| server.give_up(key))?;
                self.owners.remove(&stream);
            }
            // The guest opens no streams in generation 1, so this ends none.
            FrameType::Close => {}
            _ => return Err(Violation::Rule("a frame that its type, channel or size does not allow")),
        }
        Ok(())
    }

    /// Calls `act` with the command behind a stream. Frames for a stream that has ended are ignored.
    fn with_exec(
        &mut self,
        stream: u32,
        act: impl FnOnce(&mut Self, ExecKey) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        match self.owners.get(&stream) {
            Some(Owner::Exec(key)) => act(self, *key),
            Some(Owner::Upload | Owner::Transfer | Owner::Socket | Owner::Egress | Owner::Shutdown) | None => Ok(()),
        }
    }

    fn receive(&mut self, key: ExecKey, bytes: &[u8]) -> Result<(), Violation> {
        let Some(exec) = self.execs.get(key) else {
            return Ok(());
        };
        let lump = exec.receive(bytes)?;
        self.return_credit(key, lump);
        Ok(())
    }

    fn grant(&mut self, key: ExecKey, output: usize, bytes: u32) -> Result<(), Violation> {
        let attachment = self.execs.get(key).and_then(|exec| exec.attachment.as_mut());
        if let Some(attachment) = attachment {
            attachment.credit[output].grant(bytes)?;
        }
        self.enqueue(key);
        Ok(())
    }

    fn end_input(&mut self, key: ExecKey) -> Result<(), Violation> {
        if let Some(exec) = self.execs.get(key) {
            if exec.input.has_ended() {
                return Err(Violation::Rule("END twice"));
            }
            exec.input.end();
        }
        Ok(())
    }

    fn control(&mut self, key: ExecKey, message: &ControlMessage) -> Result<(), Violation> {
        let Some(exec) = self.execs.get(key) else {
            return Ok(());
        };
        if let (Some(size), true, Some(master)) = (message.resize, exec.tty, exec.outputs[0].source()) {
            // Sizes are any two numbers of 16 bits; the kernel takes them all.
            let _ = resize(master, size.cols, size.rows);
        }
        if let Some(signal) = message.signal.as_deref().and_then(signal_from_name) {
            exec.signal(signal);
        }
        if message.detach.is_some() {
            self.detach(key);
        }
        Ok(())
    }

    /// The command goes on, as one that was detached from its start; its stream ends.
    fn detach(&mut self, key: ExecKey) {
        let Some(exec) = self.execs.get(key) else {
            return;
        };
        if let Some((stream, id)) = exec.detach() {
            self.close(stream, Ok(json!({"detached": id})));
        }
        self.enqueue(key);
    }

    /// RESET: a detached command goes on by itself, any other is killed.
    fn give_up(&mut self, key: ExecKey) -> Result<(), Violation> {
        if let Some(exec) = self.execs.get(key) {
            exec.abandon();
        }
        self.enqueue(key);
        Ok(())
    }
}
