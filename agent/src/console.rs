//! Words for people, on the console of the machine (or standard error), and the last words.

use std::io::Write;

use rustix::system::{RebootCommand, reboot};

/// Prints one line. Never fails: there is nobody to tell.
pub fn say(message: &str) {
    let line = format!("banger-agent: {message}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Says why, then ends the machine if the agent is process 1, else the process. The host sees the hypervisor exit with this
/// line on its console.
pub fn die(message: &str) -> ! {
    say(message);
    if rustix::process::getpid().as_raw_nonzero().get() == 1 {
        rustix::fs::sync();
        let _ = reboot(RebootCommand::PowerOff);
        let _ = reboot(RebootCommand::Halt);
    }
    std::process::exit(1)
}
