//! From an `exec` request to a running process and the agent's ends of its pipes or terminal.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Pid, Resource, Rlimit, Uid, getrlimit, setrlimit};

use super::cgroup::{Cgroup, Cgroups};
use super::child::{ChildStack, Plan, Program, Stage, start};
use super::environment::{Env, build_env, env_strings};
use super::identity::{Identity, resolve_identity};
use super::pty::open_pty;
use super::search::candidates;
use super::shield::{Shield, without};
use crate::failure::{Code, Failure, OrFail, Outcome, errno_words};
use crate::files::read_small;
use crate::requests::{Builtin, ExecRequest};
use crate::sftp;

/// Bytes of the image's user database that are looked at.
const MAX_DATABASE: usize = 1024 * 1024;
/// Files that the agent may have open, as far as it is allowed them: a connection of each stream, and its commands' ends.
const MAX_OPEN_FILES: u64 = 4096;

/// Starts processes.
pub struct Launcher {
    /// Where commands get their cgroups; `None` leaves them in the agent's.
    pub cgroups: Option<Cgroups>,
    /// Whether commands are killed when the agent dies.
    pub die_with_agent: bool,
    /// What the agent was born with, and commands get.
    open_files: Rlimit,
    /// The agent's own binary, which no path leads to once the root is the image's.
    own_binary: io::Result<OwnedFd>,
    /// Keeps the agent from being killed for want of memory; commands are not kept so.
    shield: Option<Shield>,
    stack: ChildStack,
}

/// A process that has just been started.
pub struct Spawned {
    /// Its process id.
    pub pid: Pid,
    /// Where to write its input; none for a detached command without a terminal.
    pub input: Option<OwnedFd>,
    /// Where to read its output: stdout and stderr, or a terminal.
    pub outputs: Vec<OwnedFd>,
    /// Its cgroup.
    pub cgroup: Option<Cgroup>,
}

/// Both sides of the standard files of a command.
struct Stdio {
    theirs: Vec<OwnedFd>,
    input: Option<OwnedFd>,
    outputs: Vec<OwnedFd>,
}

impl Launcher {
    /// A launcher without cgroups.
    pub fn new(die_with_agent: bool) -> Self {
        let open_files = raise_open_files();
        let own_binary = rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let stack = ChildStack::default();
        Launcher { cgroups: None, die_with_agent, open_files, own_binary, shield: None, stack }
    }

    /// Has the kernel spare the agent when memory runs out, as it spares process 1, which this process is not any more.
    pub fn shield(&mut self) -> io::Result<()> {
        self.shield = Some(Shield::raise()?);
        Ok(())
    }

    /// Removes the cgroups of ended commands whose last processes are gone now.
    pub fn sweep(&mut self) {
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.sweep();
        }
    }

    /// Starts the command with `defaults` as the base of its environment. On failure nothing is left behind.
    pub fn launch(&mut self, request: &ExecRequest, defaults: &Env) -> Outcome<Spawned> {
        let identity = identity_of(request.user.as_deref())?;
        let term = request.tty.as_ref().and_then(|tty| tty.term.as_deref());
        let env = build_env(defaults, &request.env, &identity, term);
        let path = env.get("PATH").map_or("", String::as_str);
        let (program, argv) = match request.builtin {
            None => (Program::Search(candidates(&request.argv[0], path)), c_strings(&request.argv)?),
            Some(Builtin::Sftp) => {
                let binary = self.own_binary.as_ref().map_err(|errno| *errno);
                let binary = binary.or_fail(Code::Internal, "opening the agent's own binary")?;
                (Program::Open(binary.as_fd()), vec![c"banger-agent".to_owned(), sftp::ARGUMENT.to_owned()])
            }
        };
        let envp = env_strings(&env);
        let directory = |path: &str| {
            CString::new(path).map_err(|_| Failure::new(Code::InvalidArgument, "a directory's name holds a NUL byte"))
        };
        let enter = request.enter.as_deref().map(directory).transpose()?;
        let cwd = directory(request.cwd.as_deref().unwrap_or(&identity.home))?;
        let groups: Vec<Gid> = identity.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
        let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
        let unprivileged = uid == rustix::process::getuid() && !uid.is_root();

        let stdio = open_stdio(request).or_fail(Code::ResourceExhausted, "opening the standard files")?;
        let cgroup = self.cgroups.as_mut().map(Cgroups::create).transpose();
        let cgroup = cgroup.or_fail(Code::ResourceExhausted, "making a cgroup")?;
        let theirs = |index: usize| -> BorrowedFd { stdio.theirs[index % stdio.theirs.len()].as_fd() };
        let plan = Plan {
            stdio: [theirs(0), theirs(1), theirs(2)],
            tty: request.tty.is_some(),
            credentials: (!unprivileged).then_some((uid, gid, &groups)),
            enter: enter.as_deref(),
            cwd: &cwd,
            cwd_required: request.cwd.is_some(),
            program: &program,
            argv: &argv,
            envp: &envp,
            die_with_agent: self.die_with_agent,
            open_files: self.open_files,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
        };
        if plan.tty {
            // So that the command's user owns the terminal, as after a login; without it only /dev/tty would work.
            let _ = rustix::fs::fchown(plan.stdio[0], Some(uid), None);
        }
        match without(self.shield.as_ref(), || start(&plan, &mut self.stack)) {
            Ok(pid) => Ok(Spawned { pid, input: stdio.input, outputs: stdio.outputs, cgroup }),
            Err((stage, errno)) => {
                if let (Some(cgroups), Some(cgroup)) = (&mut self.cgroups, cgroup) {
                    cgroups.remove(cgroup);
                }
                Err(explain((stage, errno), request))
            }
        }
    }
}

/// Who `user` is by the image's user database; absent: who the agent is.
pub fn identity_of(user: Option<&str>) -> Outcome<Identity> {
    let own = rustix::process::getuid();
    // Only an agent that is not process 1 can be somebody else than root.
    let default = if own.is_root() { "root".to_string() } else { own.as_raw().to_string() };
    let user = user.unwrap_or(&default);
    let read = database("/etc/passwd").and_then(|passwd| Ok((passwd, database("/etc/group")?)));
    match read {
        Ok((passwd, group)) => resolve_identity(user, &passwd, &group),
        // Numbers and root need no database.
        Err(failure) => resolve_identity(user, "", "").map_err(|_| failure),
    }
}

/// The text of a user database; empty if the image has none.
fn database(path: &str) -> Outcome<String> {
    match read_small(path, MAX_DATABASE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(String::new()),
        Err(errno) => {
            Err(errno).or_fail(Code::FailedPrecondition, format!("reading {path} as a regular file of at most 1 MiB"))
        }
    }
}

fn c_strings(strings: &[String]) -> Outcome<Vec<CString>> {
    let converted: Result<Vec<_>, _> = strings.iter().map(|s| CString::new(s.as_str())).collect();
    converted.map_err(|_| Failure::new(Code::InvalidArgument, "argv holds a NUL byte"))
}

/// Lets the agent itself open as many files as it may, and returns the limit before.
fn raise_open_files() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let most = before.maximum.map_or(MAX_OPEN_FILES, |maximum| maximum.min(MAX_OPEN_FILES));
    if before.current.is_some_and(|current| current < most) {
        // With fewer it serves fewer connections at once, and says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: before.maximum });
    }
    before
}

fn open_stdio(request: &ExecRequest) -> io::Result<Stdio> {
    if let Some(tty) = &request.tty {
        let pty = open_pty(tty.cols, tty.rows)?;
        let input = io::fcntl_dupfd_cloexec(&pty.master, 3)?;
        return Ok(Stdio { theirs: vec![pty.slave], input: Some(input), outputs: vec![pty.master] });
    }
    let (stdin, input) = match request.detach {
        true => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            (rustix::fs::open("/dev/null", flags, Mode::empty())?, None)
        }
        false => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            (read, Some(nonblocking(write)?))
        }
    };
    let (stdout, stdout_theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, stderr_theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(Stdio {
        theirs: vec![stdin, stdout_theirs, stderr_theirs],
        input,
        outputs: vec![nonblocking(stdout)?, nonblocking(stderr)?],
    })
}

fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

/// The failure that the host sees, by where the child stopped.
fn explain((stage, errno): (Stage, Errno), request: &ExecRequest) -> Failure {
    let words = errno_words(errno.into());
    let name = &request.shown_argv()[0];
    let cwd = request.cwd.as_deref().unwrap_or("/");
    let (code, message) = match (stage, errno) {
        (Stage::Clone, Errno::AGAIN | Errno::NOMEM) => {
            (Code::ResourceExhausted, format!("no process could be made: {words}"))
        }
        (Stage::Clone | Stage::Setup, _) => (Code::Internal, format!("setting up the process failed: {words}")),
        (Stage::Credentials, Errno::PERM) => (Code::PermissionDenied, format!("becoming the user failed: {words}")),
        (Stage::Credentials, _) => (Code::InvalidArgument, format!("becoming the user failed: {words}")),
        (Stage::Cwd, Errno::NOENT) => (Code::NotFound, format!("the working directory {cwd} does not exist")),
        (Stage::Cwd, Errno::ACCESS) => {
            (Code::PermissionDenied, format!("the user may not enter the working directory {cwd}"))
        }
        (Stage::Cwd, _) => (Code::InvalidArgument, format!("the working directory {cwd}: {words}")),
        (Stage::Stuck, _) => {
            let why = "it was stopped, or waited for something in the guest that does not answer";
            (Code::FailedPrecondition, format!("{name} did not begin: {why}"))
        }
        (Stage::Interpreter, _) => (Code::CommandNotExecutable, format!("{name}: its interpreter does not exist")),
        (Stage::Execute, Errno::NOENT | Errno::LOOP | Errno::NAMETOOLONG) => {
            (Code::CommandNotFound, format!("{name}: command not found"))
        }
        (Stage::Execute, Errno::TOOBIG) => {
            (Code::InvalidArgument, format!("{name}: arguments and environment are too large"))
        }
        (Stage::Execute, Errno::NOMEM) => (Code::ResourceExhausted, format!("{name}: {words}")),
        (Stage::Execute, _) => (Code::CommandNotExecutable, format!("{name}: {words}")),
    };
    Failure::new(code, message)
}
