//! The end of processes: of commands, and as process 1 of every orphan.

use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, WaitStatus, wait};

use super::Server;
use crate::exec::Exit;

impl Server {
    /// Acts on the signals that have arrived.
    pub(super) fn take_signals(&mut self) {
        let pending = self.signals.take();
        if pending.child {
            self.reap();
        }
        if pending.init_done {
            self.init_done();
        }
        if pending.terminate {
            self.terminate();
        }
    }

    /// Reaps every process that has ended.
    pub(super) fn reap(&mut self) {
        if self.reap_all() {
            self.launcher.sweep();
        }
    }

    /// Whether there were orphans among them: of a command that has ended, one may have been the last process.
    fn reap_all(&mut self) -> bool {
        let mut orphans = false;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let key = self.execs.by_pid(pid);
                    match (key, exit_of(status)) {
                        (Some(key), Some(exit)) => {
                            let lump = self.execs.get(key).and_then(|exec| exec.ended(exit));
                            self.return_credit(key, lump);
                            self.enqueue(key);
                        }
                        _ => orphans = true,
                    }
                }
                Ok(None) => {
                    self.childless = false;
                    return orphans;
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.childless = true;
                    return orphans;
                }
            }
        }
    }

    /// Kills commands whose time is over.
    pub(super) fn expire(&mut self) {
        if self.execs.iter().all(|(_, exec)| exec.deadline.is_none()) {
            return;
        }
        let now = Instant::now();
        for (_, exec) in self.execs.iter() {
            if exec.deadline.is_some_and(|deadline| deadline <= now) {
                exec.deadline = None;
                exec.timed_out = true;
                exec.kill();
            }
        }
    }

    /// Ends an agent that is not process 1, and everything that it has started.
    pub(super) fn terminate(&mut self) {
        self.uploads.clear();
        loop {
            // Again after each, because a process may fork while the others are being killed.
            self.machine.signal_all(Signal::KILL);
            if let Err(Errno::CHILD) = wait(WaitOptions::empty()) {
                std::process::exit(0);
            }
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    let code = status.exit_status().map(Exit::Code);
    code.or_else(|| status.terminating_signal().map(Exit::Signal))
}
