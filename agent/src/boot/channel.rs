//! The way to the host, as the kernel command line names it.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome, errno_words};
use crate::files::read_line;
use crate::server::{Channel, Link, LinkKind, Listener};

const OPTION: &str = "banger.channel=";
const PORTS: &str = "/sys/class/virtio-ports";

/// Opens `banger.channel=virtio:NAME` or `banger.channel=vsock:PORT`.
pub fn open_channel(cmdline: &str) -> Outcome<Channel> {
    let value = cmdline.split_ascii_whitespace().find_map(|word| word.strip_prefix(OPTION));
    match value.and_then(|value| value.split_once(':')) {
        Some(("virtio", name)) => Ok(Channel::Fixed(Link::new(wait_for_port(name)?, LinkKind::Port))),
        Some(("vsock", port)) => {
            let bad = |_| Failure::new(Code::InvalidArgument, format!("{OPTION}vsock:{port}: no port number"));
            let port: u32 = port.parse().map_err(bad)?;
            let listener = Listener::vsock(port).or_fail(Code::Internal, "listening on vsock")?;
            // A host that asked before was refused, and waits for this.
            if let Err(errno) = Listener::knock_vsock(port) {
                console::say(&format!("knocking at the host: {}", errno_words(errno.into())));
            }
            Ok(Channel::Listening(listener))
        }
        _ => {
            let message = format!("the kernel command line has no {OPTION}virtio:NAME or {OPTION}vsock:PORT");
            Err(Failure::new(Code::InvalidArgument, message))
        }
    }
}

/// Opens the virtio port of this name, waiting for the kernel to announce it.
fn wait_for_port(name: &str) -> Outcome<OwnedFd> {
    if let Some(device) = find_port(name) {
        return open_port(&device);
    }
    // Listening before looking again, so that no announcement is missed.
    let kind = SocketType::DGRAM;
    let events = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, Some(KOBJECT_UEVENT))
        .or_fail(Code::Internal, "opening a netlink socket")?;
    let kernel_group = SocketAddrNetlink::new(0, 1);
    bind(&events, &kernel_group).or_fail(Code::Internal, "listening for devices")?;
    loop {
        if let Some(device) = find_port(name) {
            return open_port(&device);
        }
        // Which device it is about does not matter; an overrun (ENOBUFS) is news, too.
        let _ = recv(&events, &mut [0u8; 4096], RecvFlags::empty());
    }
}

fn find_port(name: &str) -> Option<String> {
    let entries = std::fs::read_dir(PORTS).into_iter().flatten().flatten();
    let mut devices = entries.filter_map(|entry| entry.file_name().into_string().ok());
    devices.find(|device| read_line(&format!("{PORTS}/{device}/name")) == name)
}

fn open_port(device: &str) -> Outcome<OwnedFd> {
    let path = format!("/dev/{device}");
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open(path.as_str(), flags, Mode::empty()).or_fail(Code::Internal, format!("opening {path}"))
}
