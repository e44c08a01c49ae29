//! The machine that the agent is process 1 of.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::Signal;
use rustix::system::{RebootCommand, reboot};

use super::root::{self, WRITABLE};
use super::writable::{Usage, Writable};
use super::{Machine, Step, Stopwatch, etc, kernel};
use crate::console;
use crate::failure::{Code, Failure, Outcome, errno_words};
use crate::requests::{Configure, PowerOff, Resumed};

/// The state of the machine; everything is absent until it was configured.
#[derive(Debug, Default)]
pub struct RealMachine {
    writable: Option<Writable>,
    volumes: Vec<String>,
    power_off: PowerOff,
    switched: bool,
}

impl RealMachine {
    fn mount_root(&mut self, request: &Configure, watch: &mut Stopwatch) -> Outcome<()> {
        root::mount_image(&request.rootfs)?;
        watch.lap("rootfs");
        let device = root::mount_writable(request.writable.as_ref())?;
        let writable = Writable::open(WRITABLE, device)?;
        watch.lap("writable");
        root::mount_overlay()?;
        watch.lap("overlay");
        self.writable = Some(writable);
        Ok(())
    }
}

impl Machine for RealMachine {
    fn configure(&mut self, request: &Configure) -> Outcome<Vec<Step>> {
        if !matches!(request.init.as_deref(), None | Some("agent")) {
            let message = "this agent can only stay process 1 (init: \"agent\")";
            return Err(Failure::new(Code::Unsupported, message));
        }
        if self.switched {
            let message = "an earlier configure failed when it could no longer be undone";
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        let mut watch = Stopwatch::start();
        // First the clock, so that what is created below has the right times.
        apply(request.unix_time_ms, request.entropy.as_deref())?;
        kernel::set_hostname(&request.hostname)?;
        kernel::bring_loopback_up()?;
        watch.lap("kernel");
        if let Err(failure) = self.mount_root(request, &mut watch) {
            root::unmount_all();
            return Err(failure);
        }
        self.switched = true;
        root::switch_root()?;
        watch.lap("switch");
        root::mount_system()?;
        watch.lap("system");
        for volume in &request.mounts {
            root::mount_volume(volume)?;
            self.volumes.push(volume.target.clone());
        }
        watch.lap("mounts");
        etc::write_etc(request)?;
        watch.lap("etc");
        self.power_off = request.poweroff;
        Ok(watch.steps)
    }

    fn cgroup_root(&self) -> Option<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        open("/sys/fs/cgroup", flags, Mode::empty()).ok()
    }

    fn resumed(&mut self, request: &Resumed) -> Outcome<()> {
        apply(request.unix_time_ms, request.entropy.as_deref())?;
        if let Some(hostname) = &request.hostname {
            kernel::set_hostname(hostname)?;
            etc::write_hostname(hostname)?;
        }
        Ok(())
    }

    fn grow(&mut self) -> Outcome<Usage> {
        self.layer()?.grow()
    }

    fn set_frozen(&mut self, frozen: bool) -> Outcome<()> {
        self.layer()?.set_frozen(frozen)
    }

    fn usage(&self) -> Option<Usage> {
        self.writable.as_ref().map(Writable::usage)
    }

    fn signal_all(&self, signal: Signal) {
        // SAFETY: kill(2) with -1 reaches every process but this one; the agent is process 1 here.
        unsafe { libc::kill(-1, signal.as_raw()) };
    }

    fn settle(&mut self) {
        if let Some(writable) = &mut self.writable {
            report(writable.set_frozen(false));
        }
        rustix::fs::sync();
        for target in self.volumes.drain(..).rev() {
            if unmount(target.as_str(), UnmountFlags::empty()).is_err() {
                let busy = mount_remount(target.as_str(), MountFlags::RDONLY, "");
                if let Err(errno) = busy {
                    console::say(&format!("{target} could not be made read-only: {}", errno_words(errno.into())));
                }
            }
        }
        if let Some(writable) = &mut self.writable {
            report(writable.settle());
        }
    }

    fn power_off(&mut self) -> ! {
        let command = match self.power_off {
            PowerOff::Acpi => RebootCommand::PowerOff,
            PowerOff::Reset => RebootCommand::Restart,
        };
        let result = reboot(command);
        console::die(&format!("power off failed: {result:?}"))
    }
}

impl RealMachine {
    fn layer(&mut self) -> Outcome<&mut Writable> {
        let message = "the guest is not configured";
        self.writable.as_mut().ok_or_else(|| Failure::new(Code::FailedPrecondition, message))
    }
}

fn apply(unix_time_ms: Option<u64>, entropy: Option<&str>) -> Outcome<()> {
    if let Some(time) = unix_time_ms {
        kernel::set_clock(time)?;
    }
    entropy.map_or(Ok(()), kernel::add_entropy)
}

fn report(result: Outcome<()>) {
    if let Err(failure) = result {
        console::say(&failure.message);
    }
}
