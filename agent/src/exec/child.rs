//! The step from the agent to a new program: one vfork-like clone3(2) and execve(2).
//!
//! The child runs on a stack of its own but in the agent's memory (CLONE_VM), and the agent waits until the child has
//! executed a program or exited. So no page tables are copied, the child is born in its cgroup (CLONE_INTO_CGROUP), and it
//! reports errors by writing them into the plan.
//!
//! The kernel could do the waiting (CLONE_VFORK), but without an end to it: once the child has become its user, every process
//! of that user can stop it, or have it wait for a file system of its own, and the agent with it. So the agent waits at a
//! pipe that the child's end closes, and kills a child that does not get there.

use std::arch::asm;
use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Gid, Pid, Resource, Rlimit, Signal, Uid, WaitId, WaitIdOptions, kill_process, setrlimit, waitid,
};

use super::clone_args::{CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CloneArgs};

/// How long a child has that does nothing: so many looks at it, each after twice the time of the one before, 10 s in all. They are counted,
/// because the clock of a machine that was held up jumps.
const LOOKS: u32 = 10;
/// The first one.
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// How long a killed child has to vanish; one that waits in the kernel for something of the guest's does not, and does nothing more either.
const VANISH: Duration = Duration::from_secs(1);

/// Everything the child needs, made before it exists.
pub struct Plan<'a> {
    /// Standard input, output and error; each above 2.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Whether standard input is a terminal to be made the controlling one.
    pub tty: bool,
    /// Who to become; `None` leaves it as it is.
    pub credentials: Option<(Uid, Gid, &'a [Gid])>,
    /// A working directory to try first.
    pub enter: Option<&'a CStr>,
    /// Working directory.
    pub cwd: &'a CStr,
    /// Whether a missing `cwd` is an error; if not, `/` stands in.
    pub cwd_required: bool,
    /// What to execute.
    pub program: &'a Program<'a>,
    /// Arguments.
    pub argv: &'a [CString],
    /// `NAME=value` strings.
    pub envp: &'a [CString],
    /// Whether the child dies with the agent; for an agent that is not process 1.
    pub die_with_agent: bool,
    /// Limit of open files, which is not the agent's own.
    pub open_files: Rlimit,
    /// Cgroup directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// What becomes of the child.
pub enum Program<'a> {
    /// Paths to try in order.
    Search(Vec<CString>),
    /// A binary that is open.
    Open(BorrowedFd<'a>),
}

/// Where the child failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It could not be made.
    Clone,
    /// Session, terminal, standard files.
    Setup,
    /// Becoming the user.
    Credentials,
    /// Entering the working directory.
    Cwd,
    /// Executing; the error is the one to report of all candidates.
    Execute,
    /// The same, of a program that is there and names an interpreter that is not.
    Interpreter,
    /// It was stopped, or stood still for too long, before it executed anything.
    Stuck,
}

/// The memory that the child runs on. Reused: the agent waits while it is in use.
pub struct ChildStack(Vec<u128>);

impl Default for ChildStack {
    fn default() -> Self {
        // 64 KiB; the child's frames are small and it never recurses. u128 has the alignment that the ABI asks for.
        ChildStack(vec![0; 4096])
    }
}

struct Shared<'a> {
    plan: &'a Plan<'a>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    failure: Option<(Stage, Errno)>,
}

/// Starts the program. On success the child has executed it; on failure it is gone or going, and will be reaped as a nameless child.
pub fn start(plan: &Plan, stack: &mut ChildStack) -> Result<Pid, (Stage, Errno)> {
    let (watch, alive) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| (Stage::Clone, errno))?;
    let mut shared = Shared { plan, argv: pointers(plan.argv), envp: pointers(plan.envp), failure: None };
    let mut flags = libc::CLONE_VM as u64 | CLONE_CLEAR_SIGHAND;
    let mut args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.0.as_mut_ptr() as u64,
        stack_size: size_of_val(stack.0.as_slice()) as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = plan.cgroup {
        flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    args.flags = flags;
    let entry: extern "C" fn(*mut Shared) -> ! = child_main;
    let result: isize;
    // SAFETY: `args` is a valid clone_args. The child gets a stack that nothing else uses, 16-byte aligned, and calls
    // `child_main`, which never returns to this frame; r12 and r13 survive the system call. The agent has one thread, and that
    // stays in `await_child`, which allocates nothing and does not touch what is shared, until the child has exec'ed, exited, or was killed;
    // so `shared` and all that it points to outlive the child's use of them, and nobody else touches them meanwhile.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") &raw const args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") &raw mut shared,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 {
        return Err((Stage::Clone, Errno::from_raw_os_error(-result as i32)));
    }
    let pid = i32::try_from(result).ok().and_then(Pid::from_raw).ok_or((Stage::Clone, Errno::INVAL))?;
    // The child has the other copy.
    drop(alive);
    await_child(pid, watch.as_fd())?;
    // SAFETY: a valid, initialised value; the child is done with it. It wrote to it behind the compiler's back.
    match unsafe { ptr::read_volatile(&raw const shared.failure) } {
        Some(failure) => Err(failure),
        None => Ok(pid),
    }
}

/// Returns when the child has executed a program or is gone; one that does not get there is killed.
fn await_child(pid: Pid, watch: BorrowedFd) -> Result<(), (Stage, Errno)> {
    let mut patience = FIRST_LOOK;
    for _ in 0..LOOKS {
        if has_closed(watch, patience) {
            return Ok(());
        }
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Ok(Some(_)) = waitid(WaitId::Pid(pid), options) {
            break;
        }
        patience *= 2;
    }
    // It cannot have ended without closing its end of the pipe, so that the number is its own.
    let _ = kill_process(pid, Signal::KILL);
    has_closed(watch, VANISH);
    Err((Stage::Stuck, Errno::TIMEDOUT))
}

/// Whether the other end of the pipe is closed within that time.
fn has_closed(watch: BorrowedFd, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    // Nothing is written to it, so that any event is its end. No signal but those that are ignored or blocked can interrupt the wait.
    matches!(poll(&mut [PollFd::from_borrowed_fd(watch, PollFlags::IN)], Some(&timeout)), Ok(count) if count > 0)
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let list = strings.iter().map(|string| string.as_ptr());
    list.chain([ptr::null()]).collect()
}

/// The child's whole life before the program. No allocation, no locks, no panics.
extern "C" fn child_main(shared: *mut Shared) -> ! {
    // SAFETY: `start` passes a pointer to a live value that only this function uses until the parent goes on.
    let shared = unsafe { &mut *shared };
    let failure = prepare(shared.plan).err();
    shared.failure = Some(failure.unwrap_or_else(|| execute(shared)));
    // SAFETY: _exit takes any number and runs no handlers.
    unsafe { libc::_exit(127) }
}

fn prepare(plan: &Plan) -> Result<(), (Stage, Errno)> {
    let at = |stage: Stage| move |errno: Errno| (stage, errno);
    rustix::process::setsid().map_err(at(Stage::Setup))?;
    if plan.tty {
        rustix::process::ioctl_tiocsctty(plan.stdio[0]).map_err(at(Stage::Setup))?;
    }
    rustix::stdio::dup2_stdin(plan.stdio[0]).map_err(at(Stage::Setup))?;
    rustix::stdio::dup2_stdout(plan.stdio[1]).map_err(at(Stage::Setup))?;
    rustix::stdio::dup2_stderr(plan.stdio[2]).map_err(at(Stage::Setup))?;
    reset_signals();
    setrlimit(Resource::Nofile, plan.open_files).map_err(at(Stage::Setup))?;
    if let Some((uid, gid, groups)) = plan.credentials {
        rustix::thread::set_thread_groups(groups).map_err(at(Stage::Credentials))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at(Stage::Credentials))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Stage::Credentials))?;
    }
    // Becoming somebody else undoes it (prctl(2), PR_SET_PDEATHSIG).
    if plan.die_with_agent {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(at(Stage::Setup))?;
    }
    if plan.enter.is_some_and(|enter| rustix::process::chdir(enter).is_ok()) {
        return Ok(());
    }
    match rustix::process::chdir(plan.cwd) {
        Err(_) if !plan.cwd_required => rustix::process::chdir(c"/"),
        result => result,
    }
    .map_err(at(Stage::Cwd))
}

/// CLONE_CLEAR_SIGHAND undoes handlers but not "ignored", and the agent ignores SIGPIPE and blocks what it reads from a
/// signalfd.
fn reset_signals() {
    // SAFETY: both calls change only this process's (the child's) signal state, with valid arguments.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Returns only if no candidate could be executed: the error that execvp(3) would choose.
fn execute(shared: &Shared) -> (Stage, Errno) {
    let candidates = match shared.plan.program {
        Program::Search(candidates) => candidates,
        Program::Open(binary) => {
            let (fd, flags) = (binary.as_raw_fd(), libc::AT_EMPTY_PATH);
            // SAFETY: an open descriptor, an empty NUL-terminated path, null-terminated arrays of NUL-terminated strings.
            unsafe {
                libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), shared.argv.as_ptr(), shared.envp.as_ptr(), flags)
            };
            return (Stage::Execute, last_error());
        }
    };
    let mut reported = (Stage::Execute, Errno::NOENT);
    for path in candidates {
        // SAFETY: path, argv and envp are NUL-terminated strings and null-terminated arrays of such.
        unsafe { libc::execve(path.as_ptr(), shared.argv.as_ptr(), shared.envp.as_ptr()) };
        let errno = last_error();
        match errno {
            // Looked at here and not by the agent, which must not wait for a file system of the guest's.
            Errno::NOENT if reported.1 == errno && access(path.as_c_str(), Access::EXISTS).is_ok() => {
                reported = (Stage::Interpreter, errno);
            }
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => reported = (Stage::Execute, errno),
            _ => return (Stage::Execute, errno),
        }
    }
    reported
}

fn last_error() -> Errno {
    // SAFETY: errno is this thread's; the parent, which shares it, stands still and does not rely on it.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
