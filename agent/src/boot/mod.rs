//! From the kernel's hand-over to a channel: what process 1 does before it serves.

mod channel;
mod modules;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit};

use crate::failure::{Code, OrFail, Outcome};
use crate::server::Channel;

/// Descriptors that the agent and, unless they say otherwise, commands may have open.
const MAX_FILES: u64 = 65_536;
/// Descriptors that a command may allow itself.
const MAX_FILES_HARD: u64 = 1_048_576;

/// Mounts what is needed, loads the modules and finds the host.
pub fn boot() -> Outcome<Channel> {
    mount_early("devtmpfs", "/dev", "mode=0755")?;
    open_console();
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

/// Makes the console the standard files, so that words for people arrive and descriptors 0 to 2 are taken. Without a console
/// it is `/dev/null`.
fn open_console() {
    let open = |path| rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
    if let Ok(console) = open("/dev/console").or_else(|_| open("/dev/null")) {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        let _ = rustix::stdio::dup2_stderr(&console);
        if std::os::fd::AsRawFd::as_raw_fd(&console) <= 2 {
            std::mem::forget(console);
        }
    }
}
