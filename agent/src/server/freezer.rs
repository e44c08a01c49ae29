//! `freeze`, `thaw`, `resumed`: around a snapshot. A freeze that the host forgets ends by itself.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Server;
use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::{Freeze, Resumed};

/// Whether the file systems are frozen, and until when.
#[derive(Debug, Default)]
pub struct Freezer {
    until: Option<Instant>,
    file_systems: bool,
    commands: bool,
    /// The last freeze ended by itself and no host has been told yet.
    expired: bool,
}

impl Freezer {
    /// Whether writes wait.
    pub fn holds_writes(&self) -> bool {
        self.until.is_some() && self.file_systems
    }

    /// Whether commands stand still.
    pub fn holds_commands(&self) -> bool {
        self.until.is_some() && self.commands
    }

    /// When the freeze ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

impl Server {
    /// A second freeze starts the time anew.
    pub(super) fn freeze(&mut self, request: &Freeze) -> Outcome<Value> {
        let (file_systems, commands) = (request.freezes_file_systems(), request.commands);
        let until = Some(Instant::now() + request.timeout());
        // First the commands: one that waits for a frozen file system does not halt.
        self.hold_commands(commands)?;
        self.freezer = Freezer { until, file_systems: self.freezer.file_systems, commands, expired: false };
        if file_systems {
            self.fail_uploads("the guest's file system is being frozen");
        }
        let result = self.machine.set_frozen(file_systems);
        if result.is_err() {
            self.freezer = Freezer::default();
            self.release_commands();
        }
        self.freezer.file_systems = file_systems;
        result.map(|()| json!({}))
    }

    /// Has commands stand still, and beside an init everything else, or go on. Without cgroups there is no way to, and none of them is asked to.
    fn hold_commands(&mut self, held: bool) -> Outcome<()> {
        let result = match &self.launcher.cgroups {
            Some(cgroups) => cgroups.set_frozen(held).or_fail(Code::FailedPrecondition, "halting the commands"),
            None => Ok(()),
        };
        self.machine.hold_services(held && result.is_ok());
        result
    }

    /// They go on whatever happens to the request.
    fn release_commands(&mut self) {
        if let Err(failure) = self.hold_commands(false) {
            console::say(&failure.message);
        }
    }

    /// Fails when writes have gone on before: what the host copied meanwhile is not of one moment.
    pub(super) fn thaw(&mut self) -> Outcome<Value> {
        let thawed = self.machine.set_frozen(false);
        self.release_commands();
        let Freezer { expired, .. } = std::mem::take(&mut self.freezer);
        thawed?;
        match expired {
            false => Ok(json!({})),
            true => Err(Failure::new(Code::FailedPrecondition, "the freeze took too long and was ended before")),
        }
    }

    /// This is another machine now. It was saved frozen, or it was not.
    pub(super) fn resumed(&mut self, request: &Resumed) -> Outcome<Value> {
        self.machine.set_frozen(false)?;
        self.machine.resumed(request)?;
        // Commands and services that stood still never run as who they were.
        self.hold_commands(false)?;
        self.freezer = Freezer::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(json!({"unixTimeMs": now.as_millis() as u64}))
    }

    /// Ends a freeze that the host has forgotten.
    pub(super) fn expire_freeze(&mut self) {
        if self.freezer.until.is_none_or(|until| Instant::now() < until) {
            return;
        }
        self.release();
        self.freezer.expired = true;
        console::say("the host did not thaw in time");
    }

    /// Nothing waits any more.
    pub(super) fn release(&mut self) {
        self.freezer = Freezer::default();
        self.release_commands();
        if let Err(failure) = self.machine.set_frozen(false) {
            console::say(&failure.message);
        }
    }
}
