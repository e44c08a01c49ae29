//! `poweroff`: TERM, grace, KILL, everything to disk, the answer, and off.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{Owner, Server};
use crate::requests::PowerOffRequest;

/// The longest grace that a host can ask for.
const MAX_GRACE: Duration = Duration::from_secs(600);
/// How long killed processes may take to vanish; one may hang in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How long the answer may take to leave.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    stream: u32,
    phase: Phase,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Terminating,
    Killing,
    Answering,
}

impl Shutdown {
    /// When the phase ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }
}

impl Server {
    /// Begins. The stream is answered when all is on disk.
    pub(super) fn begin_shutdown(&mut self, stream: u32, request: &PowerOffRequest) {
        let grace = Duration::from_millis(request.grace_ms).min(MAX_GRACE);
        self.fail_uploads("the guest is powering off");
        self.owners.insert(stream, Owner::Shutdown);
        self.shutdown = Some(Shutdown { stream, phase: Phase::Terminating, until: Instant::now() + grace });
        if self.freezer.deadline().is_some() {
            self.release();
        }
        self.machine.signal_all(Signal::TERM);
        // A stopped process takes the signal only once it goes on.
        self.machine.signal_all(Signal::CONT);
        self.reap();
    }

    /// Goes on to the next phase when the present one is over.
    pub(super) fn advance_shutdown(&mut self) {
        let Some(Shutdown { stream, phase, until }) = self.shutdown else {
            return;
        };
        let late = Instant::now() >= until;
        match phase {
            Phase::Terminating | Phase::Killing if self.childless => self.answer_shutdown(stream),
            Phase::Terminating if late => {
                self.machine.signal_all(Signal::KILL);
                self.enter(Phase::Killing, KILL_WAIT);
                self.reap();
            }
            Phase::Killing if late => self.answer_shutdown(stream),
            Phase::Answering if late || self.connection.outbox.is_empty() => self.machine.power_off(),
            _ => {}
        }
    }

    fn answer_shutdown(&mut self, stream: u32) {
        self.machine.settle();
        // A new host has no stream of this number, or another one.
        if self.owners.get(&stream) == Some(&Owner::Shutdown) {
            self.close(stream, Ok(json!({})));
        }
        self.enter(Phase::Answering, FLUSH_WAIT);
        self.flush();
        if self.connection.outbox.is_empty() {
            self.machine.power_off();
        }
    }

    fn enter(&mut self, phase: Phase, wait: Duration) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.phase = phase;
            shutdown.until = Instant::now() + wait;
        }
    }
}
