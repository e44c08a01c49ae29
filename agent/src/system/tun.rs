//! A TUN device (tun(4), Documentation/networking/tuntap.rst): packets of the guest's kernel, read and written by the agent.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Setter, ioctl};

use super::network::{InterfaceRequest, place_interface, set_mtu};
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::EgressRequest;

const DEVICE: &str = "/dev/net/tun";
const NAME: &[u8] = b"banger0";
/// `_IOW('T', 202, int)` of linux/if_tun.h.
const TUNSETIFF: u32 = 0x4004_54ca;
const IFF_TUN: u16 = 1;
const IFF_NO_PI: u16 = 0x1000;
/// Nobody carries these packets further than to us: the larger, the fewer.
const MTU: i32 = 65_520;

/// Makes the device, with address and default route. It goes when it is closed. `unsupported` when the kernel has none.
pub fn open_tun(request: &EgressRequest) -> Outcome<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match open(DEVICE, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            return Err(Failure::new(Code::Unsupported, "the guest's kernel has no TUN devices"));
        }
        outcome => outcome.or_fail(Code::Internal, format!("opening {DEVICE}"))?,
    };
    let mut name = [0; 16];
    name[..NAME.len()].copy_from_slice(NAME);
    let mut value = [0u8; 24];
    value[..2].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
    // SAFETY: TUNSETIFF reads an ifreq with a NUL-terminated name and flags in its first two bytes.
    unsafe { ioctl(&fd, Setter::<TUNSETIFF, _>::new(InterfaceRequest { name, value })) }
        .or_fail(Code::Internal, "making the TUN device")?;
    set_mtu(name, MTU)?;
    place_interface(name, request.address, request.gateway)?;
    Ok(fd)
}
