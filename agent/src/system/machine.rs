//! The machine that the agent was started in as process 1.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::process::Signal;
use rustix::system::{RebootCommand, reboot};

use super::boot_id::BootId;
use super::init::{self, Init};
use super::root::{self, WRITABLE};
use super::services::Services;
use super::writable::{self, Usage, Writable};
use super::{Machine, Step, Stopwatch, etc, kernel, network, tun};
use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome, errno_words};
use crate::requests::{Configure, EgressRequest, Grow, PowerOff, Resumed, Volume};

/// Where commands have their cgroups.
const COMMANDS: &str = "/sys/fs/cgroup/commands";

/// The state of the machine; everything is absent until it was configured.
#[derive(Debug, Default)]
pub struct RealMachine {
    writable: Option<Writable>,
    volumes: Vec<Mounted>,
    power_off: PowerOff,
    switched: bool,
    boot_id: Option<BootId>,
    card: Option<network::Card>,
    /// Whether process 1 is the image's init.
    beside_init: bool,
    services: Services,
}

/// A volume that is mounted.
#[derive(Debug)]
struct Mounted {
    target: String,
    read_only: bool,
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
        let with_init = match request.init.as_deref() {
            None | Some("agent") => false,
            Some("systemd") => true,
            Some(other) => {
                let message = format!("this agent knows no init {other:?}, only \"agent\" and \"systemd\"");
                return Err(Failure::new(Code::Unsupported, message));
            }
        };
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
        if let Some(card) = &request.network {
            self.card = Some(network::set_up_network(card)?);
            watch.lap("network");
        }
        if let Err(failure) = self.mount_root(request, &mut watch) {
            root::unmount_all();
            return Err(failure);
        }
        self.switched = true;
        root::switch_root()?;
        watch.lap("switch");
        root::mount_system()?;
        self.boot_id = Some(BootId::cover()?);
        watch.lap("system");
        for volume in &request.mounts {
            root::mount_volume(volume)?;
            let Volume { target, read_only, .. } = volume;
            self.volumes.push(Mounted { target: target.clone(), read_only: *read_only });
        }
        watch.lap("mounts");
        etc::write_etc(request)?;
        watch.lap("etc");
        root::make_directories(&request.directories);
        self.power_off = request.poweroff;
        if with_init {
            Init::find(&request.init_argv)?.hand_over()?;
            self.beside_init = true;
            watch.lap("init");
        }
        Ok(watch.steps)
    }

    fn cgroup_root(&self) -> Option<OwnedFd> {
        // Below the root, because the root cannot be frozen. It may be there from an earlier try.
        let _ = rustix::fs::mkdir(COMMANDS, Mode::from(0o755));
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        open(COMMANDS, flags, Mode::empty()).ok()
    }

    fn resumed(&mut self, request: &Resumed) -> Outcome<()> {
        apply(request.unix_time_ms, request.entropy.as_deref())?;
        if let Some(hostname) = &request.hostname {
            kernel::set_hostname(hostname)?;
        }
        if let Some(id) = &request.boot_id {
            self.boot_id.as_ref().map_or(Ok(()), |shown| shown.replace(id))?;
        }
        if let Some(place) = &request.network {
            let message =
                || Failure::new(Code::FailedPrecondition, "this machine was configured without a network card");
            network::move_network(self.card.as_mut().ok_or_else(message)?, place)?;
        }
        etc::rewrite_etc(request)
    }

    fn grow(&mut self, request: &Grow) -> Outcome<Usage> {
        self.layer()?.grow(request.disk_bytes)
    }

    fn set_frozen(&mut self, frozen: bool) -> Outcome<()> {
        self.layer()?;
        if !frozen {
            return self.thaw();
        }
        // Most of it is brought to disk while writes still go on.
        rustix::fs::sync();
        let result = self.freeze();
        if result.is_err() {
            report(self.thaw());
        }
        result
    }

    fn hold_services(&mut self, held: bool) {
        match held && self.beside_init {
            true => self.services.halt(),
            false => self.services.release(),
        }
    }

    fn usage(&self) -> Option<Usage> {
        self.writable.as_ref().map(Writable::usage)
    }

    fn open_egress(&mut self, request: &EgressRequest) -> Outcome<OwnedFd> {
        tun::open_tun(request)
    }

    fn is_beside_init(&self) -> bool {
        self.beside_init
    }

    fn signal_all(&self, signal: Signal) {
        if !self.beside_init {
            init::kill_rest(signal);
            return;
        }
        for pid in init::processes_below(COMMANDS) {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn ask_init(&mut self, grace: Duration) -> Option<Duration> {
        if !self.beside_init {
            return None;
        }
        let asked = init::ask_to_end();
        // What it unmounts is in order.
        self.volumes.clear();
        Some(asked.map_or(grace, |limit| grace.min(limit)))
    }

    fn kill_rest(&self) {
        init::kill_rest(Signal::KILL);
    }

    fn settle(&mut self) {
        report(self.thaw());
        rustix::fs::sync();
        for Mounted { target, .. } in self.volumes.drain(..).rev() {
            if unmount(target.as_str(), UnmountFlags::empty()).is_err() {
                let busy = mount_remount(target.as_str(), MountFlags::RDONLY, "");
                if let Err(errno) = busy {
                    console::say(&format!("{target} could not be made read-only: {}", errno_words(errno.into())));
                }
            }
        }
        if let Some(writable) = &self.writable {
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
    /// The volumes first: the overlay's layer is what most writes wait for.
    fn freeze(&self) -> Outcome<()> {
        self.volumes.iter().try_for_each(|volume| volume.set_frozen(true))?;
        self.layer()?.set_frozen(true)
    }

    /// Thaws every one, and reports the first that could not be.
    fn thaw(&self) -> Outcome<()> {
        let layer = self.writable.as_ref().map_or(Ok(()), |writable| writable.set_frozen(false));
        self.volumes.iter().map(|volume| volume.set_frozen(false)).fold(layer, Result::and)
    }

    fn layer(&self) -> Outcome<&Writable> {
        let message = "the guest is not configured";
        self.writable.as_ref().ok_or_else(|| Failure::new(Code::FailedPrecondition, message))
    }
}

impl Mounted {
    /// The mount point is opened for each call: open for longer it could not be unmounted.
    fn set_frozen(&self, frozen: bool) -> Outcome<()> {
        if self.read_only {
            return Ok(());
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = open(self.target.as_str(), flags, Mode::empty())
            .or_fail(Code::FailedPrecondition, format!("opening {}", self.target))?;
        writable::set_frozen(&root, frozen)
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
