//! What clone3(2) takes.

/// Handlers of signals are not handed down. Both are flags of linux/sched.h that libc gives too narrow a type.
pub const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// The child is born in the cgroup of the arguments.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of linux/sched.h, as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
pub struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}
