//! A cgroup (version 2) for each command, so that all of its descendants can be killed at once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io;

use crate::halt;

/// How long the kernel may take to bring all commands to a halt; one may wait for a device.
const HALT: Duration = Duration::from_secs(1);

/// The hierarchy that commands get their cgroups in.
#[derive(Debug)]
pub struct Cgroups {
    root: OwnedFd,
    next: u64,
    /// Cgroups that still had processes when their command ended. One each, so bounded by the number of processes.
    leftovers: Vec<String>,
}

/// One command's cgroup.
#[derive(Debug)]
pub struct Cgroup {
    name: String,
    dir: OwnedFd,
}

impl Cgroups {
    /// Takes the directory of a cgroup2 that is not the root of all.
    pub fn new(root: OwnedFd) -> Self {
        Cgroups { root, next: 1, leftovers: Vec::new() }
    }

    /// Makes an empty cgroup.
    pub fn create(&mut self) -> io::Result<Cgroup> {
        let name = format!("exec-{}", self.next);
        self.next += 1;
        mkdirat(&self.root, name.as_str(), Mode::from(0o755))?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let dir = openat(&self.root, name.as_str(), flags, Mode::empty())?;
        Ok(Cgroup { name, dir })
    }

    /// Lets go of a cgroup: it vanishes now, or once its last process is gone.
    pub fn remove(&mut self, cgroup: Cgroup) {
        drop(cgroup.dir);
        if unlinkat(&self.root, cgroup.name.as_str(), AtFlags::REMOVEDIR).is_err() {
            self.leftovers.push(cgroup.name);
        }
    }

    /// Tries again to remove what was still in use; called when orphans have ended.
    pub fn sweep(&mut self) {
        let root = &self.root;
        self.leftovers.retain(|name| unlinkat(root, name.as_str(), AtFlags::REMOVEDIR).is_err());
    }

    /// Has every process stand still and waits until all do, or lets them go on. `TIMEDOUT`: some do not; then all go on.
    pub fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        halt::set_frozen(&self.root, frozen)?;
        if !frozen {
            return Ok(());
        }
        let halted = halt::wait_until_still(&self.root, Instant::now() + HALT);
        if halted.is_err() {
            halt::set_frozen(&self.root, false)?;
        }
        halted
    }
}

impl Cgroup {
    /// Kills every process in it.
    pub fn kill(&self) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.dir, "cgroup.kill", flags, Mode::empty())?;
        io::write(&file, b"1").map(|_| ())
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}
