//! Having all processes of a cgroup (version 2) stand still, and go on: the kernel's admin-guide/cgroup-v2.rst, "Core Interface Files".

use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{self, Errno};

/// Asks every process in the group, and in those below it, to stand still, or lets them go on. It is not the root of all groups.
pub fn set_frozen(group: impl AsFd, frozen: bool) -> io::Result<()> {
    let file = openat(&group, "cgroup.freeze", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    io::write(&file, if frozen { b"1" } else { b"0" }).map(drop)
}

/// Whether somebody has asked so already, for this very group.
pub fn is_asked(group: impl AsFd) -> io::Result<bool> {
    let file = openat(&group, "cgroup.freeze", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 2];
    let count = io::read(&file, &mut text)?;
    Ok(text[..count].starts_with(b"1"))
}

/// Waits until all that were asked do. `TIMEDOUT`: some do not by then; one may wait for a device.
pub fn wait_until_still(group: impl AsFd, deadline: Instant) -> io::Result<()> {
    let events = openat(&group, "cgroup.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        let mut text = [0; 256];
        let count = io::pread(&events, &mut text, 0)?;
        if text[..count].split(|&byte| byte == b'\n').any(|line| line == b"frozen 1") {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        // A read takes note of the state, and a change after it makes the file ready.
        match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
