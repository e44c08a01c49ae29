//! The image's own init as process 1, and the agent beside it.
//!
//! The agent forks: the parent, process 1, becomes the init; the child goes on as the agent. It has a cgroup of its own at the top, which no
//! unit of systemd covers, and a `@` in front of its name, which systemd's last killing spree heeds
//! (https://systemd.io/ROOT_STORAGE_DAEMONS). systemd's last program hands the machine back by executing `/run/initramfs/shutdown`
//! (bootup(7), "System Manager Shutdown"), which leads to the agent's binary; that tells the agent, which brings everything to disk, answers
//! the host and ends the machine in the way that this hypervisor understands.

use std::ffi::{CString, c_char};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Access, CWD, FileType, Mode, access, stat, symlinkat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use super::handback::HANDBACK;
use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome, errno_words};
use crate::files::read_line;

/// Where an init is when nothing else is said.
const USUAL: [&str; 3] = ["/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd"];
/// The agent's own cgroup.
const CGROUP: &str = "/sys/fs/cgroup/agent";
/// Units that go before all others (systemd.unit(5)).
const MASKS: &str = "/run/systemd/system.control";
/// sd_booted(3).
const SYSTEMD: &str = "/run/systemd/system";
/// What systemd takes as "power off" (systemd(1), "Signals").
const POWER_OFF: i32 = 4;
/// Groups of commands that are looked at.
const MAX_GROUPS: usize = 4096;
/// How long any other init's services get after TERM.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// An init that is there.
#[derive(Debug)]
pub struct Init {
    path: CString,
    argv: Vec<CString>,
}

impl Init {
    /// Finds it in the switched root: `argv`, or where inits usually are. `failed_precondition` when it cannot be executed.
    pub fn find(argv: &[String]) -> Outcome<Self> {
        let executable = |path: &str| {
            let file = stat(path).is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile);
            path.starts_with('/') && file && access(path, Access::EXEC_OK).is_ok()
        };
        let usual = || USUAL.iter().find(|path| executable(path)).map(|path| vec![path.to_string()]);
        let found = match argv {
            [] => usual(),
            [path, ..] => executable(path).then(|| argv.to_vec()),
        };
        let looked = argv.first().map_or(USUAL.join(" or "), String::clone);
        let missing = || Failure::new(Code::FailedPrecondition, format!("the image has no init at {looked}"));
        let argv: Result<Vec<_>, _> = found.ok_or_else(missing)?.into_iter().map(CString::new).collect();
        let argv = argv.map_err(|_| Failure::new(Code::InvalidArgument, "initArgv holds a NUL byte"))?;
        Ok(Init { path: argv[0].clone(), argv })
    }

    /// Makes it process 1. Returns in the child, which is the agent from here on; its descriptors are the same.
    pub fn hand_over(&self) -> Outcome<()> {
        let (ready, tell) = pipe_with(PipeFlags::CLOEXEC).or_fail(Code::Internal, "opening a pipe")?;
        // It may be there from an earlier try.
        let _ = rustix::fs::mkdir(CGROUP, Mode::from(0o755));
        // SAFETY: this process has one thread, so the child finds no lock held.
        match unsafe { libc::fork() } {
            -1 => {
                let error = std::io::Error::last_os_error();
                Err(Failure::new(Code::Internal, format!("forking the agent: {error}")))
            }
            0 => {
                drop(ready);
                stand_beside(tell);
                Ok(())
            }
            _ => {
                drop(tell);
                self.become_init(ready)
            }
        }
    }

    /// What the kernel would have given it: its environment, no signal blocked or ignored.
    fn become_init(&self, ready: OwnedFd) -> ! {
        // The end of the pipe: the agent stands where it is to be.
        let _ = rustix::io::read(&ready, &mut [0u8; 1]);
        console::hand_over();
        let pointers = |strings: &[CString]| -> Vec<*const c_char> {
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let env = [c"HOME=/".to_owned(), c"TERM=linux".to_owned()];
        let (argv, envp) = (pointers(&self.argv), pointers(&env));
        // SAFETY: signal state is this process's own; path, argv and envp are NUL-terminated strings and null-terminated arrays of them.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::execve(self.path.as_ptr(), argv.as_ptr(), envp.as_ptr());
        }
        let error = std::io::Error::last_os_error();
        console::die(&format!("{}: {}", self.path.to_string_lossy(), errno_words(error)))
    }
}

/// Asks the init to end everything; returns how long it may take, when that is not for the host to say.
pub fn ask_to_end() -> Option<Duration> {
    if rustix::fs::stat(SYSTEMD).is_ok() {
        // SAFETY: kill(2) with a valid signal number; process 1 is the init.
        unsafe { libc::kill(1, libc::SIGRTMIN() + POWER_OFF) };
        return None;
    }
    // There is no signal that every init knows, but all services know this one.
    kill_rest(Signal::TERM);
    Some(OTHERS_WAIT)
}

/// Sends a signal to every process but the init and the agent.
pub fn kill_rest(signal: Signal) {
    // SAFETY: kill(2) with -1 reaches every process but process 1 and this one, which may be the same.
    unsafe { libc::kill(-1, signal.as_raw()) };
}

/// The processes below a cgroup's directory, those too in groups that commands have made in their own.
pub fn processes_below(dir: &str) -> Vec<Pid> {
    let (mut found, mut groups, mut seen) = (Vec::new(), vec![PathBuf::from(dir)], 0);
    while let Some(group) = groups.pop().filter(|_| seen < MAX_GROUPS) {
        seen += 1;
        for entry in std::fs::read_dir(&group).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let list = read_line(&entry.path().join("cgroup.procs").to_string_lossy());
                found.extend(list.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
                groups.push(entry.path());
            }
        }
    }
    found
}

/// What of this fails is worth a word, not the machine: the agent serves all the same.
fn stand_beside(tell: OwnedFd) {
    let pid = rustix::process::getpid();
    let report = |what: &str, result: std::io::Result<()>| {
        if let Err(error) = result {
            console::say(&format!("{what}: {}", errno_words(error)));
        }
    };
    report("a session of the agent's own", rustix::process::setsid().map(drop).map_err(Into::into));
    // Orphans of commands come to the agent as before.
    report("becoming a subreaper", rustix::process::set_child_subreaper(Some(pid)).map_err(Into::into));
    report("a cgroup of the agent's own", std::fs::write(format!("{CGROUP}/cgroup.procs"), "0"));
    report("marking the agent", mark());
    let _ = rustix::fs::mkdir("/run/initramfs", Mode::from(0o755));
    let binary = format!("/proc/{}/exe", pid.as_raw_nonzero());
    mask_consoles();
    report("the way back", symlinkat(binary.as_str(), CWD, HANDBACK).map_err(Into::into));
    drop(tell);
}

/// Nobody types at a console that is written to a file, and without udev systemd would wait 90 s for the device of its login
/// (systemd-getty-generator(8)). A unit that is a link to nothing is never started.
fn mask_consoles() {
    // Not where systemd(1) keeps its other runtime units: that directory says that it has booted.
    let _ = std::fs::create_dir_all(MASKS);
    for console in read_line("/sys/class/tty/console/active").split_ascii_whitespace() {
        let _ = symlinkat("/dev/null", CWD, format!("{MASKS}/serial-getty@{console}.service").as_str());
    }
}

/// Overwrites the first character of the arguments that others see.
fn mark() -> std::io::Result<()> {
    // proc_pid_stat(5): arg_start is field 48; the first two end with the last parenthesis.
    let stat = read_line("/proc/self/stat");
    let field = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(48 - 3));
    let address: usize =
        field.and_then(|field| field.parse().ok()).filter(|address| *address != 0).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::Unsupported, "the kernel does not say where its arguments are")
        })?;
    // SAFETY: the kernel has put the NUL-terminated argument there, on the stack, which is writable and stays; nobody holds a reference
    // to it, as `std::env::args` copies.
    unsafe { (address as *mut u8).write_volatile(b'@') };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_found_in_groups_of_groups_and_not_in_the_first_one() {
        let top = std::env::temp_dir().join(format!("banger-groups-{}", std::process::id()));
        std::fs::create_dir_all(top.join("exec-1/a/b")).expect("directories");
        std::fs::create_dir_all(top.join("exec-2")).expect("a directory");
        for (group, pids) in
            [("", "1\n"), ("exec-1", "11\n12\n"), ("exec-1/a", ""), ("exec-1/a/b", "13\n"), ("exec-2", "21\n")]
        {
            std::fs::write(top.join(group).join("cgroup.procs"), pids).expect("a file");
        }
        let mut found: Vec<_> = processes_below(top.to_str().expect("plain letters"))
            .iter()
            .map(|pid| pid.as_raw_nonzero().get())
            .collect();
        found.sort_unstable();
        assert_eq!(found, [11, 12, 13, 21]);
        std::fs::remove_dir_all(top).expect("removed");
    }
}
