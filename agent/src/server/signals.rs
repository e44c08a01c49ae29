//! Signals as something to wait for (signalfd(2)).

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io;

use crate::system::DONE;

/// The signals that the agent takes, blocked for itself.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
    readable: bool,
}

/// What has happened since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    /// Some child has ended.
    pub child: bool,
    /// The agent was asked to end.
    pub terminate: bool,
    /// The init has ended everything.
    pub init_done: bool,
}

impl SignalFd {
    /// Takes SIGCHLD, what the init says at its end, and, if asked to, SIGTERM and SIGINT; ignores SIGPIPE.
    pub fn new(with_termination: bool) -> io::Result<Self> {
        // SAFETY: the set is initialised by sigemptyset before its other uses, and all signal numbers are valid. Called
        // before any other thread could exist.
        let fd = unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigaddset(&raw mut set, DONE.as_raw());
            if with_termination {
                libc::sigaddset(&raw mut set, libc::SIGTERM);
                libc::sigaddset(&raw mut set, libc::SIGINT);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            let error = std::io::Error::last_os_error();
            return Err(io::Errno::from_io_error(&error).unwrap_or(io::Errno::INVAL));
        }
        // SAFETY: signalfd has just returned this descriptor, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(SignalFd { fd, readable: true })
    }

    /// Notes that the kernel has news.
    pub fn set_readable(&mut self) {
        self.readable = true;
    }

    /// Takes what has arrived.
    pub fn take(&mut self) -> Pending {
        const SIGINFO: usize = size_of::<libc::signalfd_siginfo>();
        let mut pending = Pending::default();
        while self.readable {
            let mut buffer = [0u8; SIGINFO * 4];
            let Ok(count) = io::read(&self.fd, &mut buffer) else {
                self.readable = false;
                break;
            };
            for info in buffer[..count].chunks_exact(SIGINFO) {
                // `struct signalfd_siginfo`: the first field is the signal's number, the fourth the sender's.
                let field = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
                match field(0) as i32 {
                    libc::SIGCHLD => pending.child = true,
                    number if number == DONE.as_raw() => pending.init_done |= field(12) == 1,
                    _ => pending.terminate = true,
                }
            }
        }
        pending
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
