//! A cgroup (version 2) for each command, so that all of its descendants can be killed at once.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, unlinkat};
use rustix::io::{self, Errno};

use crate::halt;

/// How long the kernel may take to bring all commands to a halt; one may wait for a device.
const HALT: Duration = Duration::from_secs(1);
/// Groups inside each other that a command's processes may have made, and how many are removed at once; what is beyond stays.
const MAX_DEPTH: usize = 32;
const MAX_REMOVED: usize = 256;

/// The hierarchy that commands get their cgroups in.
#[derive(Debug)]
pub struct Cgroups {
    root: OwnedFd,
    next: u64,
    /// Cgroups that still had processes when their command ended, or more in them than are removed. One each, so bounded by the number of
    /// processes and by what root in the guest has made.
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
        if !remove_tree(self.root.as_fd(), &cgroup.name, &mut { MAX_REMOVED }) {
            self.leftovers.push(cgroup.name);
        }
    }

    /// Tries again to remove what was still in use; called when orphans have ended.
    pub fn sweep(&mut self) {
        let (root, mut left) = (self.root.as_fd(), MAX_REMOVED);
        self.leftovers.retain(|name| !remove_tree(root, name, &mut left));
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

/// Removes a cgroup with those that its processes have made in it, once none of them has a process any more. Whether it is gone.
fn remove_tree(root: BorrowedFd, name: &str, left: &mut usize) -> bool {
    match unlinkat(root, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return true,
        Err(_) => {}
    }
    let removed = open_group(root, name.as_bytes()).and_then(|group| match has_processes(&group)? {
        true => Err(Errno::BUSY),
        false => remove_below(&group, MAX_DEPTH, left),
    });
    removed.is_ok() && unlinkat(root, name, AtFlags::REMOVEDIR).is_ok()
}

/// Removes what is inside a cgroup, the innermost first.
fn remove_below(group: &OwnedFd, depth: usize, left: &mut usize) -> io::Result<()> {
    for entry in Dir::read_from(group)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if depth == 0 || *left == 0 {
            return Err(Errno::BUSY);
        }
        if unlinkat(group, name, AtFlags::REMOVEDIR).is_err() {
            remove_below(&open_group(group.as_fd(), name.to_bytes())?, depth - 1, left)?;
            unlinkat(group, name, AtFlags::REMOVEDIR)?;
        }
        *left = left.saturating_sub(1);
    }
    Ok(())
}

/// Opens a cgroup of another one, and not what somebody has mounted over it.
fn open_group(parent: BorrowedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    openat2(parent, name, flags, Mode::empty(), resolve)
}

/// Whether a process is in the group or below it.
fn has_processes(group: &OwnedFd) -> io::Result<bool> {
    let file = openat(group, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 256];
    let count = io::read(&file, &mut text)?;
    Ok(!text[..count].split(|&byte| byte == b'\n').any(|line| line == b"populated 0"))
}
