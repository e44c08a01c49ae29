//! The end of a machine whose process 1 is the image's init: systemd's last program executes the agent's binary as process 1.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, reboot};

use crate::console;

/// Where systemd looks for the program; a link to `/proc/PID/exe` of the agent.
pub const HANDBACK: &str = "/run/initramfs/shutdown";
/// What the program is called once `/run/initramfs` is the root.
const NAME: &str = "/shutdown";
/// Says to the agent that the init is done.
pub const DONE: Signal = Signal::USR1;
/// How long the agent may take to end the machine.
const AGENT_WAIT: Duration = Duration::from_secs(10);

/// Whether process 1 is here for that.
pub fn is_handback() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Lets the agent end the machine, and ends it itself when there is none.
pub fn hand_back() -> ! {
    let target = rustix::fs::readlink(NAME, Vec::new()).ok().and_then(|target| target.into_string().ok());
    let pid = target.as_deref().and_then(|target| target.split('/').nth(2)?.parse().ok()).and_then(Pid::from_raw);
    if pid.is_some_and(|pid| kill_process(pid, DONE).is_ok()) {
        std::thread::sleep(AGENT_WAIT);
        console::say("the agent did not end the machine");
    }
    rustix::fs::sync();
    let restart = std::env::args().nth(1).as_deref() == Some("reboot");
    let command = if restart { RebootCommand::Restart } else { RebootCommand::PowerOff };
    let result = reboot(command);
    console::die(&format!("power off failed: {result:?}"))
}
