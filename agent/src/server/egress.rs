//! The way out: packets of the TUN device, what the host is asked about them, and the connections that it takes.

use rustix::net::sockopt;
use serde_json::json;

use super::poller::Source;
use super::{Owner, Server};
use crate::egress::{Egress, Verdict};
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::{EgressMessage, EgressRequest, TakeRequest};
use crate::sockets::Pipe;
use crate::wire::{FrameType, OUTBOX_HIGH, Violation, WINDOW};

/// Packets that are looked at before the server looks at its descriptors again.
const BUDGET: usize = 64;
/// Connections that are taken before it does.
const ACCEPT_BUDGET: usize = 16;
/// Bytes of a question's number.
const NUMBER: usize = 2;

impl Server {
    pub(super) fn open_egress(&mut self, stream: u32, request: &EgressRequest) -> Outcome<()> {
        if self.egress.as_ref().is_some_and(|egress| egress.stream.is_some()) {
            return Err(Failure::new(Code::FailedPrecondition, "the way out has a host already"));
        }
        // A guest that became another one has another address.
        if self.egress.as_ref().is_none_or(|egress| egress.address != request.address) {
            self.egress = None;
            let egress = Egress::new(self.machine.open_egress(request)?, request)?;
            for (fd, source) in [(egress.device(), Source::Device), (egress.listener(), Source::Outgoing)] {
                self.poller.add(fd, source).or_fail(Code::ResourceExhausted, "watching the way out")?;
            }
            self.egress = Some(egress);
        }
        if let Some(egress) = &mut self.egress {
            egress.attach(stream);
        }
        self.owners.insert(stream, Owner::Egress);
        self.connection.outbox.frame(FrameType::Control, stream, br#"{"egress":{}}"#);
        Ok(())
    }

    /// The host has connected: the kernel may shake hands with the program.
    pub(super) fn take_flow(&mut self, stream: u32, request: &TakeRequest) -> Outcome<()> {
        let missing = || Failure::new(Code::NotFound, format!("no connection {} waits", request.id));
        let egress = self.egress.as_mut().ok_or_else(missing)?;
        let window = request.window.unwrap_or(WINDOW);
        let syn = egress.flows.take(request.id, stream, window).ok_or_else(missing)?;
        egress.write(&syn);
        self.owners.insert(stream, Owner::Socket);
        Ok(())
    }

    /// The kernel has connections whose hands were shaken. It does not tell of those again that are left for the next turn.
    pub(super) fn flows_ready(&mut self) {
        if let Some(egress) = &mut self.egress {
            egress.acceptable = true;
        }
    }

    /// Takes some of them.
    fn accept_flows(&mut self) {
        for _ in 0..ACCEPT_BUDGET {
            let ready = self.egress.as_mut().filter(|egress| egress.acceptable);
            let Some((fd, from)) = ready.and_then(Egress::accept) else {
                return;
            };
            match self.egress.as_mut().and_then(|egress| egress.flows.opened(from)) {
                Some((stream, window)) => {
                    if let Err(failure) = self.own_pipe(stream, Box::new(Pipe::taken(stream, fd, window))) {
                        self.flow_ended(stream);
                        self.close(stream, Err(failure));
                    }
                }
                // Of a host that has gone, or somebody in the guest who tries our port: cut off.
                None => drop(sockopt::set_socket_linger(&fd, Some(std::time::Duration::ZERO))),
            }
        }
    }

    /// The connection of this stream is over, if it is one that went out.
    pub(super) fn flow_ended(&mut self, stream: u32) {
        if let Some(egress) = &mut self.egress {
            egress.flows.ended(stream);
        }
    }

    /// RESET of the host, for its own stream or a connection's.
    pub(super) fn end_egress(&mut self, stream: u32) {
        self.flow_ended(stream);
        if let Some(egress) = self.egress.as_mut().filter(|egress| egress.stream == Some(stream)) {
            egress.detach();
        }
    }

    pub(super) fn device_ready(&mut self) {
        if let Some(egress) = &mut self.egress {
            egress.readable = true;
        }
    }

    pub(super) fn egress_has_work(&self) -> bool {
        self.egress.as_ref().is_some_and(|egress| egress.readable || egress.acceptable)
    }

    /// Looks at some packets, and takes some connections.
    pub(super) fn work_egress(&mut self) {
        if self.connection.outbox.len() < OUTBOX_HIGH {
            self.accept_flows();
        }
        let Some(egress) = &mut self.egress else {
            return;
        };
        let outbox = &mut self.connection.outbox;
        for _ in 0..BUDGET {
            if !egress.readable || outbox.len() >= OUTBOX_HIGH {
                return;
            }
            let Some(count) = egress.read(&mut self.scratch) else {
                return;
            };
            let bytes = &mut self.scratch[..count];
            match (egress.flows.outgoing(bytes), egress.stream) {
                (Verdict::Back, _) => egress.write(bytes),
                (Verdict::Answer(packet), _) => egress.write(&packet),
                (Verdict::Ask { id, to }, Some(stream)) => {
                    let flow = json!({"flow": {"id": id, "address": to.ip().to_string(), "port": to.port()}});
                    outbox.frame(FrameType::Control, stream, flow.to_string().as_bytes());
                }
                // Nobody is there to ask: the program hears it as it hears of a network that is down.
                (Verdict::Ask { id, .. }, None) => {
                    if let Some(packet) = egress.flows.refuse(id) {
                        egress.write(&packet);
                    }
                }
                (Verdict::Question { id, at, end }, Some(stream)) => {
                    let length = NUMBER + end - at;
                    if egress.credit.available() >= length {
                        egress.credit.spend(length);
                        outbox.data(stream, 1, &[&id.to_le_bytes(), &bytes[at..end]].concat());
                    }
                }
                (Verdict::Question { .. }, None) | (Verdict::Drop, _) => {}
            }
        }
    }

    /// DATA on the host's stream: an answer of its resolver.
    pub(super) fn receive_answer(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Violation> {
        let Some(egress) = self.egress.as_mut().filter(|egress| egress.stream == Some(stream)) else {
            return Ok(());
        };
        egress.window.receive(bytes.len())?;
        if let Some(lump) = egress.window.consume(bytes.len()) {
            self.connection.outbox.credit(stream, 0, lump);
        }
        let Some((number, data)) = bytes.split_first_chunk::<NUMBER>() else {
            return Ok(());
        };
        if let Some(packet) = egress.flows.answer(u16::from_le_bytes(*number), data) {
            egress.write(&packet);
        }
        Ok(())
    }

    /// CREDIT of the host for questions.
    pub(super) fn grant_questions(&mut self, stream: u32, bytes: u32) -> Result<(), Violation> {
        match self.egress.as_mut().filter(|egress| egress.stream == Some(stream)) {
            Some(egress) => egress.credit.grant(bytes),
            None => Ok(()),
        }
    }

    /// CONTROL of the host's stream.
    pub(super) fn control_egress(&mut self, stream: u32, payload: &[u8]) {
        let Some(egress) = self.egress.as_mut().filter(|egress| egress.stream == Some(stream)) else {
            return;
        };
        let EgressMessage { refuse } = serde_json::from_slice(payload).unwrap_or_default();
        if let Some(packet) = refuse.and_then(|refusal| egress.flows.refuse(refusal.id)) {
            egress.write(&packet);
        }
    }
}
