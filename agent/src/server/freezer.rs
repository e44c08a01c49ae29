//! `freeze`, `thaw`, `resumed`: around a snapshot. A freeze that the host forgets ends by itself.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Server;
use crate::console;
use crate::failure::{Code, Failure, Outcome};
use crate::requests::{Freeze, Resumed};

/// Whether the file systems are frozen, and until when.
#[derive(Debug, Default)]
pub struct Freezer {
    until: Option<Instant>,
    /// The last freeze ended by itself and no host has been told yet.
    expired: bool,
}

impl Freezer {
    /// Whether writes wait.
    pub fn is_frozen(&self) -> bool {
        self.until.is_some()
    }

    /// When the freeze ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

impl Server {
    /// A second freeze starts the time anew.
    pub(super) fn freeze(&mut self, request: &Freeze) -> Outcome<Value> {
        self.fail_uploads("the guest's file system is being frozen");
        self.machine.set_frozen(true)?;
        self.freezer = Freezer { until: Some(Instant::now() + request.timeout()), expired: false };
        Ok(json!({}))
    }

    /// Fails when writes have gone on before: what the host copied meanwhile is not of one moment.
    pub(super) fn thaw(&mut self) -> Outcome<Value> {
        self.machine.set_frozen(false)?;
        match std::mem::take(&mut self.freezer).expired {
            false => Ok(json!({})),
            true => Err(Failure::new(Code::FailedPrecondition, "the freeze took too long and was ended before")),
        }
    }

    /// This is another machine now. It was saved frozen, or it was not.
    pub(super) fn resumed(&mut self, request: &Resumed) -> Outcome<Value> {
        self.machine.set_frozen(false)?;
        self.freezer = Freezer::default();
        self.machine.resumed(request)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(json!({"unixTimeMs": now.as_millis() as u64}))
    }

    /// Ends a freeze that the host has forgotten.
    pub(super) fn expire_freeze(&mut self) {
        if self.freezer.until.is_none_or(|until| Instant::now() < until) {
            return;
        }
        self.freezer = Freezer { until: None, expired: true };
        match self.machine.set_frozen(false) {
            Ok(()) => console::say("the host did not thaw the file systems in time; they go on"),
            Err(failure) => console::say(&failure.message),
        }
    }
}
