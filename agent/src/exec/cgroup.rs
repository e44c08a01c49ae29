//! A cgroup (version 2) for each command, so that all of its descendants can be killed at once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::{self, Errno};

/// How long the kernel may take to bring all commands to a halt; one may wait for a device.
const HALT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

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

    /// Has every process stand still and waits until all do, or lets them go on (the kernel's admin-guide/cgroup-v2.rst, Core Interface
    /// Files). `TIMEDOUT`: some do not; then all go on.
    pub fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        self.write_freeze(if frozen { b"1" } else { b"0" })?;
        if !frozen {
            return Ok(());
        }
        let halted = self.wait_for_halt();
        if halted.is_err() {
            self.write_freeze(b"0")?;
        }
        halted
    }

    fn write_freeze(&self, value: &[u8]) -> io::Result<()> {
        let file = openat(&self.root, "cgroup.freeze", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        io::write(&file, value).map(drop)
    }

    fn wait_for_halt(&self) -> io::Result<()> {
        let events = openat(&self.root, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        loop {
            let mut text = [0; 256];
            let count = io::pread(&events, &mut text, 0)?;
            if text[..count].split(|&byte| byte == b'\n').any(|line| line == b"frozen 1") {
                return Ok(());
            }
            // A read takes note of the state, and a change after it makes the file ready.
            match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&HALT)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
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
