//! `poweroff`: TERM, grace, KILL, everything to disk, the answer, and off. A command with a stop signal of its own gets that before all
//! others get TERM. Beside an init the commands end first, then the init ends the rest.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{Owner, Server};
use crate::requests::PowerOffRequest;

/// The longest grace that a host can ask for.
const MAX_GRACE: Duration = Duration::from_secs(600);
/// How long killed processes may take to vanish; one may hang in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How long commands may take after TERM beside an init, whose own services take their time after that.
const COMMANDS_GRACE: Duration = Duration::from_secs(2);
/// How long the answer may take to leave.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    stream: u32,
    phase: Phase,
    until: Instant,
    /// The end of the grace.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Commands with a stop signal of their own.
    Asking,
    Terminating,
    Killing,
    /// The init.
    Ending,
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
        let deadline = Instant::now() + grace;
        self.shutdown = Some(Shutdown { stream, phase: Phase::Asking, until: deadline, deadline });
        if self.freezer.deadline().is_some() {
            self.release();
        }
        for (_, exec) in self.execs.iter() {
            if let Some(signal) = exec.stop_signal {
                exec.signal(signal);
                // A stopped process takes the signal only once it goes on.
                exec.signal(Signal::CONT);
            }
        }
        self.reap();
    }

    /// The init has ended everything, asked by the host or by somebody in the guest.
    pub(super) fn init_done(&mut self) {
        match self.shutdown {
            Some(Shutdown { phase: Phase::Answering, .. }) => {}
            Some(Shutdown { stream, .. }) => self.answer_shutdown(stream),
            None => {
                self.machine.settle();
                self.machine.power_off();
            }
        }
    }

    /// Goes on to the next phase when the present one is over.
    pub(super) fn advance_shutdown(&mut self) {
        let Some(Shutdown { stream, phase, until, deadline }) = self.shutdown else {
            return;
        };
        let now = Instant::now();
        let late = now >= until;
        match phase {
            Phase::Asking
                if late || !self.execs.iter().any(|(_, exec)| exec.stop_signal.is_some() && exec.exit.is_none()) =>
            {
                self.machine.signal_all(Signal::TERM);
                self.machine.signal_all(Signal::CONT);
                let grace = deadline.saturating_duration_since(now);
                let limit = if self.machine.is_beside_init() { COMMANDS_GRACE } else { grace };
                self.enter(Phase::Terminating, grace.min(limit));
                self.reap();
                self.advance_shutdown();
            }
            Phase::Terminating | Phase::Killing if self.childless => self.end_init(stream, deadline),
            Phase::Terminating if late => {
                self.machine.signal_all(Signal::KILL);
                self.enter(Phase::Killing, KILL_WAIT);
                self.reap();
            }
            Phase::Killing if late => self.end_init(stream, deadline),
            Phase::Ending if late => {
                self.machine.kill_rest();
                self.answer_shutdown(stream);
            }
            Phase::Answering if late || self.connection.outbox.is_empty() => self.machine.power_off(),
            _ => {}
        }
    }

    fn end_init(&mut self, stream: u32, deadline: Instant) {
        match self.machine.ask_init(deadline.saturating_duration_since(Instant::now())) {
            Some(wait) => self.enter(Phase::Ending, wait),
            None => self.answer_shutdown(stream),
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
