//! A machine for tests on the host: it takes every order and changes nothing. Commands run on the host.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{Machine, Step, Usage};
use crate::failure::{Code, Failure, Outcome};
use crate::files::read_line;
use crate::requests::{Configure, EgressRequest, Grow, Resumed};

/// Nothing to look after.
#[derive(Debug, Default)]
pub struct Rehearsal;

impl Machine for Rehearsal {
    fn configure(&mut self, _request: &Configure) -> Outcome<Vec<Step>> {
        Ok(vec![Step { name: "rehearsal", ms: 0.0 }])
    }

    fn cgroup_root(&self) -> Option<OwnedFd> {
        None
    }

    fn resumed(&mut self, _request: &Resumed) -> Outcome<()> {
        Ok(())
    }

    fn grow(&mut self, _request: &Grow) -> Outcome<Usage> {
        Ok(Usage::default())
    }

    fn set_frozen(&mut self, _frozen: bool) -> Outcome<()> {
        Ok(())
    }

    fn hold_services(&mut self, _held: bool) {}

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn open_egress(&mut self, _request: &EgressRequest) -> Outcome<OwnedFd> {
        Err(Failure::new(Code::Unsupported, "a rehearsal leaves the host's network alone"))
    }

    fn is_beside_init(&self) -> bool {
        false
    }

    fn ask_init(&mut self, _grace: Duration) -> Option<Duration> {
        None
    }

    fn kill_rest(&self) {}

    fn signal_all(&self, signal: Signal) {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        for pid in descendants(own) {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn settle(&mut self) {}

    fn power_off(&mut self) -> ! {
        std::process::exit(0)
    }
}

/// Children, their children and so on; orphans among them count as children, because the agent is a subreaper.
fn descendants(pid: i32) -> Vec<Pid> {
    let children = read_line(&format!("/proc/{pid}/task/{pid}/children"));
    let children = children.split(' ').filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    children.flat_map(|child| [vec![child], descendants(child.as_raw_nonzero().get())].concat()).collect()
}
