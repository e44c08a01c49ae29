//! The size of a disk as the kernel knows it, which follows the hypervisor's word in its own time.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::files::read_line;

/// The interrupt that tells of a new size is handled within milliseconds, under emulation too.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the block device is `at_least` bytes large, and returns how large it is. `failed_precondition` when it does not get there.
/// virtio_blk reads the size in a work queue after the interrupt (drivers/block/virtio_blk.c, virtblk_config_changed), then tells
/// by a uevent with RESIZE=1 (block/genhd.c, set_capacity_and_notify).
pub fn await_disk_size(device: &str, at_least: u64) -> Outcome<u64> {
    let size = disk_size(device);
    if size >= at_least {
        return Ok(size);
    }
    // Listen first, then look again: nothing that comes between the two is missed.
    let events = listen_to_uevents().or_fail(Code::Internal, "listening to uevents")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let size = disk_size(device);
        if size >= at_least {
            return Ok(size);
        }
        if !next_uevent(&events, deadline).or_fail(Code::Internal, "waiting for a uevent")? {
            let message = format!("the kernel sees {size} bytes on {device}, not {at_least}");
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
    }
}

fn disk_size(device: &str) -> u64 {
    const SECTOR_BYTES: u64 = 512;
    read_line(&format!("/sys/block/{device}/size")).parse().map_or(0, |sectors: u64| sectors * SECTOR_BYTES)
}

fn listen_to_uevents() -> io::Result<OwnedFd> {
    /// The multicast group of the kernel's own events; the other is udev's.
    const KERNEL: u32 = 1;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(socket)
}

/// Takes one event, whatever it says; false when none came in time.
fn next_uevent(events: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
    match poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&patience)) {
        Ok(0) => return Ok(false),
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno),
    }
    // An event that did not fit into the socket's buffer is one as well: it says ENOBUFS.
    match recv(events, &mut [0; 64][..], RecvFlags::empty()) {
        Ok(_) | Err(Errno::AGAIN | Errno::NOBUFS) => Ok(true),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::await_disk_size;

    #[test]
    fn a_disk_of_no_wanted_size_is_not_waited_for() {
        assert_eq!(await_disk_size("no-such-disk", 0).ok(), Some(0));
    }
}
