//! In its own guest the agent goes before what it starts (sched(7), "The nice value").
//!
//! Each piece of data that it hands to a program of the guest wakes that program, which then takes the processor from an agent of the same
//! rank before the next piece. The agent sleeps when it has nothing to do, so that whoever works in the guest loses little by it.

use rustix::process::setpriority_process;

/// Nice values are -20 (first) to 19. Lower ones than this brought no more.
const AGENT: i32 = -10;
/// What the kernel gives process 1.
const OTHERS: i32 = 0;

/// Puts the calling process first. Where that is not allowed it stays as it was.
pub fn go_first() {
    let _ = setpriority_process(None, AGENT);
}

/// Puts the calling process among all others. It allocates nothing.
pub fn go_back() {
    let _ = setpriority_process(None, OTHERS);
}
