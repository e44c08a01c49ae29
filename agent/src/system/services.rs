//! Everything that an image's own init has started, and the init itself: standing still around a snapshot.
//!
//! systemd keeps every process of its own in groups below the top one. An init that makes no groups leaves its processes in the top one, which the
//! kernel does not halt; they go on.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{self, Errno};

use crate::console;
use crate::failure::errno_words;
use crate::halt;

const TOP: &str = "/sys/fs/cgroup";
/// The agent's own group, and the one of its commands, which it halts by itself.
const OURS: [&str; 2] = ["agent", "commands"];
/// How long all of them may take together.
const HALT: Duration = Duration::from_secs(5);

/// The groups that were halted. A clone has the same list.
#[derive(Debug, Default)]
pub struct Services {
    halted: Vec<OwnedFd>,
}

impl Services {
    /// Has all of them stand still. May be repeated. When some do not, all go on: a service that waits for a device keeps nobody from a snapshot.
    pub fn halt(&mut self) {
        if !self.halted.is_empty() {
            return;
        }
        if let Err(errno) = self.try_halt() {
            console::say(&format!("services go on while the machine is saved: {}", errno_words(errno.into())));
            self.release();
        }
    }

    /// Lets all go on that stood still for us. Safe to repeat.
    pub fn release(&mut self) {
        for group in self.halted.drain(..) {
            match halt::set_frozen(&group, false) {
                // A group without processes may be gone.
                Ok(()) | Err(Errno::NODEV | Errno::NOENT) => {}
                Err(errno) => console::say(&format!("a group of services stands still: {}", errno_words(errno.into()))),
            }
        }
    }

    fn try_halt(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + HALT;
        for group in groups() {
            // What somebody else has halted, he lets go on.
            if halt::is_asked(&group).unwrap_or(true) {
                continue;
            }
            match halt::set_frozen(&group, true) {
                Ok(()) => self.halted.push(group),
                Err(Errno::NODEV | Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.halted.iter().try_for_each(|group| match halt::wait_until_still(group, deadline) {
            Err(Errno::NODEV | Errno::NOENT) => Ok(()),
            still => still,
        })
    }
}

/// The groups below the top one that are not ours.
fn groups() -> Vec<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let entries = std::fs::read_dir(TOP).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| OURS.iter().all(|ours| entry.file_name() != *ours))
        .filter_map(|entry| openat(CWD, entry.path(), flags, Mode::empty()).ok())
        .collect()
}
