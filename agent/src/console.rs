//! Words for people, on the console of the machine (or standard error), and the last words.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io;
use rustix::system::{RebootCommand, reboot};

/// Makes the console the standard files, so that words for people arrive and descriptors 0 to 2 are taken. Without a console
/// it is `/dev/null`.
pub fn open_standard_files() {
    // An init of the image's own gets the first ones; it may rely on a write that waits.
    if let Some(console) = open_or_null("/dev/console", OFlags::empty()) {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        forget_standard(console);
    }
    if let Some(console) = open_own("/dev/console") {
        let _ = rustix::stdio::dup2_stderr(&console);
        forget_standard(console);
    }
}

/// Gives standard error to whoever comes after the agent in this process.
pub fn hand_over() {
    let _ = rustix::stdio::dup2_stderr(rustix::stdio::stdout());
}

/// Prints one line. Never fails: there is nobody to tell. It is lost, or the end of it, where the console takes no more.
pub fn say(message: &str) {
    write_line(rustix::stdio::stderr(), message);
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

/// For the agent's own words: somebody in the guest can stop a terminal (termios(3), TCOOFF), and the agent must not wait until he lets it go on.
fn open_own(path: &str) -> Option<OwnedFd> {
    open_or_null(path, OFlags::NONBLOCK)
}

fn open_or_null(path: &str, flags: OFlags) -> Option<OwnedFd> {
    let open = |path| rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY | flags, Mode::empty());
    open(path).or_else(|_| open("/dev/null")).ok()
}

/// Keeps open what is a standard file already.
fn forget_standard(file: OwnedFd) {
    if std::os::fd::AsRawFd::as_raw_fd(&file) <= 2 {
        std::mem::forget(file);
    }
}

fn write_line(console: impl AsFd, message: &str) {
    let line = format!("banger-agent: {message}\n");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match io::retry_on_intr(|| io::write(&console, rest)) {
            Ok(count) if count > 0 => rest = &rest[count..],
            Ok(_) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
    use rustix::termios::{Action, tcflow};

    use super::*;

    #[test]
    fn a_terminal_that_somebody_has_stopped_loses_lines_and_holds_up_nobody() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        unlockpt(&master).expect("unlocked");
        let path = ptsname(&master, Vec::new()).expect("its name").into_string().expect("plain letters");
        let console = open_own(&path).expect("it opens");
        tcflow(&console, Action::OOff).expect("stopped");
        let (done, is_done) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            // More than any terminal keeps.
            for _ in 0..1000 {
                write_line(&console, &"x".repeat(1000));
            }
            tcflow(&console, Action::OOn).expect("it goes on");
            write_line(&console, "heard again");
            done.send(()).expect("somebody waits");
            console
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("nobody waits for the terminal");
        let _console = writer.join().expect("it has ended");
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains("heard again") {
            let mut buffer = [0; 4096];
            let count = io::read(&master, &mut buffer).expect("its words");
            heard.extend_from_slice(&buffer[..count]);
        }
    }
}
