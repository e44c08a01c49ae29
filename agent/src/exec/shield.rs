//! What the kernel may kill when memory runs out (proc_pid_oom_score_adj(5)).

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io;

use crate::console;
use crate::failure::errno_words;

const OWN: &str = "/proc/self/oom_score_adj";
/// Never.
const NEVER: &[u8] = b"-1000";
/// As any other process.
const AS_OTHERS: &[u8] = b"0";

/// This process is not killed for want of memory while it is raised.
#[derive(Debug)]
pub struct Shield {
    /// Open for good: somebody in the guest may mount something else there.
    file: OwnedFd,
}

impl Shield {
    /// Raises it.
    pub fn raise() -> io::Result<Self> {
        let shield = Shield { file: openat(CWD, OWN, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())? };
        shield.set(NEVER)?;
        Ok(shield)
    }

    fn set(&self, score: &[u8]) -> io::Result<()> {
        io::write(&self.file, score).map(drop)
    }
}

/// Makes a child while the shield, if there is one, is down: what it is then, the child is for good. It cannot lower its own, for as long as it
/// shares the agent's memory the kernel sets that of both (fs/proc/base.c, __set_oom_adj).
pub fn without<T>(shield: Option<&Shield>, make: impl FnOnce() -> T) -> T {
    let Some(shield) = shield else {
        return make();
    };
    report(shield.set(AS_OTHERS));
    let made = make();
    report(shield.set(NEVER));
    made
}

fn report(result: io::Result<()>) {
    if let Err(errno) = result {
        console::say(&format!("what the kernel may kill: {}", errno_words(errno.into())));
    }
}
