//! The machine that the agent looks after: its disks, mounts, names, clock and end.

mod boot_id;
mod disk_size;
mod disks;
mod etc;
mod handback;
mod init;
mod initramfs;
mod kernel;
mod listeners;
mod machine;
mod network;
mod network6;
mod rehearsal;
mod root;
mod services;
mod stats;
mod tun;
mod writable;

pub use disks::find_disk;
pub use handback::{DONE, hand_back, is_handback};
pub use initramfs::clear_initramfs;
pub use listeners::list_listeners;
pub use machine::RealMachine;
pub use rehearsal::Rehearsal;
pub use stats::{read_stats, uptime_ms};
pub use writable::Usage;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::failure::Outcome;
use crate::requests::{Configure, EgressRequest, Grow, Resumed};

/// What a machine can be told to do. Two kinds: the one that the agent is process 1 of, and a rehearsal for tests.
pub trait Machine {
    /// Sets everything up. Called until it succeeds once; refuses with
    /// `failed_precondition` when an earlier failure left nothing to start from.
    fn configure(&mut self, request: &Configure) -> Outcome<Vec<Step>>;
    /// The cgroup that commands get theirs in, once configured and if there is one.
    fn cgroup_root(&self) -> Option<OwnedFd>;
    /// Takes on new clock, entropy, names and ids. Nothing is frozen.
    fn resumed(&mut self, request: &Resumed) -> Outcome<()>;
    /// Grows the writable file system to its disk, once that is as large as the request says.
    fn grow(&mut self, request: &Grow) -> Outcome<Usage>;
    /// Brings to disk and freezes every writable file system, or thaws them. May be repeated; a freeze that fails freezes none.
    fn set_frozen(&mut self, frozen: bool) -> Outcome<()>;
    /// Has everything beside the commands stand still that an init has started, as far as it can be, or go on. May be repeated.
    fn hold_services(&mut self, held: bool);
    /// Figures of the writable file system.
    fn usage(&self) -> Option<Usage>;
    /// A TUN device with address and default route. `unsupported` when there can be none.
    fn open_egress(&mut self, request: &EgressRequest) -> Outcome<OwnedFd>;
    /// Whether the agent forked in `configure` and is not process 1 any more.
    fn is_beside_init(&self) -> bool;
    /// Sends a signal to every process that the agent looks after; as process 1 that is every other one, beside an init the commands.
    fn signal_all(&self, signal: Signal);
    /// Asks the init, where there is one, to end everything; it says so with the signal `DONE`. Returns how long to wait for that at most;
    /// without an init nothing is to be waited for.
    fn ask_init(&mut self, grace: Duration) -> Option<Duration>;
    /// Kills everything but the init, which has not ended it.
    fn kill_rest(&self);
    /// Writes everything to disk so that nothing more can be lost.
    fn settle(&mut self);
    /// Ends the machine, or in a rehearsal the process.
    fn power_off(&mut self) -> !;
}

/// A named part of `configure` and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// Milliseconds.
    pub ms: f64,
}

/// Measures steps one after the other.
struct Stopwatch {
    steps: Vec<Step>,
    last: Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Stopwatch { steps: Vec::new(), last: Instant::now() }
    }

    /// The time since the last lap belongs to `name`.
    fn lap(&mut self, name: &'static str) {
        let now = Instant::now();
        let ms = (now - self.last).as_micros() as f64 / 1000.0;
        self.steps.push(Step { name, ms });
        self.last = now;
    }
}
