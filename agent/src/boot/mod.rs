//! From the kernel's hand-over to a channel: what process 1 does before it serves.

mod channel;
mod modules;

use rustix::fs::Mode;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit};

use crate::console;
use crate::failure::{Code, OrFail, Outcome};
use crate::server::Channel;

/// Descriptors that the agent and, unless they say otherwise, commands may have open.
const MAX_FILES: u64 = 65_536;
/// Descriptors that a command may allow itself.
const MAX_FILES_HARD: u64 = 1_048_576;

/// Mounts what is needed, loads the modules and finds the host.
pub fn boot() -> Outcome<Channel> {
    mount_early("devtmpfs", "/dev", "mode=0755")?;
    console::open_standard_files();
    mount_early("proc", "/proc", "")?;
    mount_early("sysfs", "/sys", "")?;
    rustix::process::umask(Mode::from(0o022));
    let limit = Rlimit { current: Some(MAX_FILES), maximum: Some(MAX_FILES_HARD) };
    rustix::process::setrlimit(Resource::Nofile, limit).or_fail(Code::Internal, "raising limits")?;
    let cmdline = crate::files::read_line("/proc/cmdline");
    modules::load_modules(&cmdline);
    channel::open_channel(&cmdline)
}

fn mount_early(kind: &str, target: &str, data: &str) -> Outcome<()> {
    // The initramfs need not have it.
    let _ = rustix::fs::mkdir(target, Mode::from(0o755));
    let data = std::ffi::CString::new(data).unwrap_or_default();
    mount(kind, target, kind, MountFlags::NOSUID, data.as_c_str())
        .or_fail(Code::Internal, format!("mounting {kind} on {target}"))
}
