//! Moving output: one chunk of one command at a time, in turn, so that none keeps the others waiting.

use super::Server;
use crate::exec::{ExecKey, Job};
use crate::wire::OUTBOX_HIGH;

/// Jobs done before the server looks at its descriptors again.
const BUDGET: usize = 16;

impl Server {
    /// The kernel has news about an output.
    pub(super) fn output_ready(&mut self, key: ExecKey, output: usize) {
        if let Some(exec) = self.execs.get(key) {
            exec.outputs[output].set_readable();
        }
        self.enqueue(key);
    }

    /// The kernel has news about an input.
    pub(super) fn input_ready(&mut self, key: ExecKey) {
        let Some(exec) = self.execs.get(key) else {
            return;
        };
        exec.input.set_writable();
        let lump = exec.flush_input();
        self.return_credit(key, lump);
    }

    /// Does some of what waits.
    pub(super) fn work(&mut self) {
        for _ in 0..BUDGET {
            let Some((key, job)) = self.keeping.pop_front() else {
                break;
            };
            self.do_job(key, job);
        }
        for _ in 0..BUDGET {
            if self.connection.outbox.len() >= OUTBOX_HIGH {
                break;
            }
            let Some((key, job)) = self.sending.pop_front() else {
                break;
            };
            self.do_job(key, job);
        }
    }

    fn do_job(&mut self, key: ExecKey, job: Job) {
        let Some(exec) = self.execs.get(key) else {
            return;
        };
        exec.queued[job.index()] = false;
        if exec.is_ready(job) {
            exec.work(job, &mut self.scratch, &mut self.connection.outbox);
        }
        self.enqueue(key);
    }

    /// Queues what a command is ready for; a command that is finished is ended instead.
    pub(super) fn enqueue(&mut self, key: ExecKey) {
        let Some(exec) = self.execs.get(key) else {
            return;
        };
        if exec.is_finished() {
            return self.finish(key);
        }
        for job in Job::ALL {
            if exec.queued[job.index()] || !exec.is_ready(job) {
                continue;
            }
            exec.queued[job.index()] = true;
            match (job, &exec.ring) {
                (Job::Read(_), Some(_)) => self.keeping.push_back((key, job)),
                _ => self.sending.push_back((key, job)),
            }
        }
    }

    /// The last of a command: its stream gets the result, or it is remembered until one asks.
    fn finish(&mut self, key: ExecKey) {
        let Some(exec) = self.execs.get(key) else {
            return;
        };
        let cgroup = exec.cgroup.take();
        exec.end_channels(&mut self.connection.outbox);
        let result = exec.result();
        let stream = exec.attachment.as_ref().map(|attachment| attachment.stream);
        match (stream, &exec.ring) {
            (None, Some(_)) => drop(self.execs.remember(key)),
            (stream, _) => {
                self.execs.remove(key);
                if let Some(stream) = stream {
                    self.close(stream, Ok(result));
                }
            }
        }
        if let (Some(cgroups), Some(cgroup)) = (&mut self.launcher.cgroups, cgroup) {
            cgroups.remove(cgroup);
        }
    }
}
