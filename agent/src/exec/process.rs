//! A command from its start until it is forgotten: where its output goes, and how it ended.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::cgroup::Cgroup;
use super::input::Input;
use super::output::{Output, Read};
use super::ring::{KEPT_OUTPUT, Ring};
use super::signal::signal_name;
use crate::wire::{DATA_CHUNK, Outbox, ReceiveWindow, SendCredit, Violation};

/// A started command.
#[derive(Debug)]
pub struct Exec {
    /// The host's name for it.
    pub id: String,
    /// Process id, also of its session and process group.
    pub pid: Pid,
    /// Its arguments, for `ps`.
    pub argv: Vec<String>,
    /// When it was started, milliseconds since 1970.
    pub started_ms: u64,
    /// When it is to be killed.
    pub deadline: Option<Instant>,
    /// Standard input.
    pub input: Input,
    /// Standard output and standard error.
    pub outputs: [Output; 2],
    /// Kept output; present exactly if the command is detached.
    pub ring: Option<Ring>,
    /// The stream that follows it.
    pub attachment: Option<Attachment>,
    /// Which jobs stand in the server's queue.
    pub queued: [bool; 3],
    /// Whether input and output are a terminal.
    pub tty: bool,
    /// Its cgroup, where there are cgroups.
    pub cgroup: Option<Cgroup>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Whether the timeout killed it.
    pub timed_out: bool,
    /// What asks it to end, where that is not TERM.
    pub stop_signal: Option<Signal>,
}

/// A stream bound to a command.
#[derive(Debug)]
pub struct Attachment {
    /// Stream id.
    pub stream: u32,
    /// What may be sent on channels 1 and 2.
    pub credit: [SendCredit; 2],
    /// What may be received on channel 0.
    pub window: ReceiveWindow,
    cursor: u64,
    ended: [bool; 2],
}

/// The end of a process, as wait(2) tells it.
#[derive(Clone, Copy, Debug)]
pub enum Exit {
    /// It exited with a code.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
}

/// One thing that can be done for a command, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Read one chunk of output 0 (stdout) or 1 (stderr).
    Read(usize),
    /// Send one chunk of kept output.
    Replay,
}

impl Job {
    /// All of them.
    pub const ALL: [Job; 3] = [Job::Read(0), Job::Read(1), Job::Replay];

    /// Its place in `Exec::queued`.
    pub fn index(self) -> usize {
        match self {
            Job::Read(output) => output,
            Job::Replay => 2,
        }
    }
}

impl Attachment {
    /// A stream that follows from the oldest output still kept.
    pub fn new(stream: u32) -> Self {
        Attachment {
            stream,
            credit: Default::default(),
            window: ReceiveWindow::default(),
            cursor: 0,
            ended: [false; 2],
        }
    }

    fn end(&mut self, output: usize, outbox: &mut Outbox) {
        if !std::mem::replace(&mut self.ended[output], true) {
            outbox.end(self.stream, output as u8 + 1);
        }
    }
}

impl Exec {
    /// Whether this job could do something now.
    pub fn is_ready(&self, job: Job) -> bool {
        match (job, &self.ring, &self.attachment) {
            (Job::Read(output), None, Some(attachment)) => {
                let output_ready = self.outputs[output].is_readable();
                let credit = attachment.credit[output].available();
                output_ready && (credit > 0 || self.outputs[output].is_drained())
            }
            (Job::Read(output), ..) => self.outputs[output].is_readable() && self.room() > 0,
            (Job::Replay, Some(ring), Some(attachment)) => ring
                .read(attachment.cursor)
                .is_some_and(|(channel, ..)| attachment.credit[slot(channel)].available() > 0),
            (Job::Replay, ..) => false,
        }
    }

    /// Does one job that is ready. `scratch` holds at least `DATA_CHUNK` bytes.
    pub fn work(&mut self, job: Job, scratch: &mut [u8], outbox: &mut Outbox) {
        match job {
            Job::Read(output) => self.read(output, scratch, outbox),
            Job::Replay => self.replay(outbox),
        }
    }

    /// Bytes arrived on channel 0. Returns credit to give back.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<u32>, Violation> {
        let Some(attachment) = &mut self.attachment else {
            return Ok(None);
        };
        if self.input.has_ended() {
            return Err(Violation::Rule("DATA after END"));
        }
        attachment.window.receive(bytes.len())?;
        let consumed = self.input.push(bytes);
        Ok(attachment.window.consume(consumed))
    }

    /// The input may have room again. Returns credit to give back.
    pub fn flush_input(&mut self) -> Option<u32> {
        let consumed = self.input.flush();
        let attachment = self.attachment.as_mut()?;
        match self.input.has_ended() {
            true => None,
            false => attachment.window.consume(consumed),
        }
    }

    /// Sends a signal to the process group, on a terminal to the foreground one. Does nothing once the command has ended.
    pub fn signal(&self, signal: Signal) {
        if self.exit.is_some() {
            return;
        }
        let foreground = match (self.tty, self.outputs[0].source()) {
            (true, Some(master)) => rustix::termios::tcgetpgrp(master).ok(),
            _ => None,
        };
        // The group may be gone already, which is as good.
        let _ = kill_process_group(foreground.unwrap_or(self.pid), signal);
    }

    /// Kills the command and, where there are cgroups, everything that it started.
    pub fn kill(&self) {
        let killed = self.cgroup.as_ref().is_some_and(|group| group.kill().is_ok());
        if !killed && self.exit.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// The stream is given up. A detached command goes on; any other is killed and what it still writes is dropped.
    pub fn abandon(&mut self) {
        self.attachment = None;
        if self.ring.is_some() {
            self.input.restart();
            return;
        }
        self.kill();
        self.input.close();
        self.outputs.iter_mut().for_each(Output::close);
    }

    /// Takes its stream away and keeps what it writes from now on. Returns the stream and the command's id; `None` when it has
    /// ended, and its stream is about to.
    pub fn detach(&mut self) -> Option<(u32, String)> {
        if self.exit.is_some() {
            return None;
        }
        let attachment = self.attachment.take()?;
        self.ring.get_or_insert_default();
        self.input.restart();
        Some((attachment.stream, self.id.clone()))
    }

    /// Notes the end of the process. Returns credit to give back for input that nobody will read.
    pub fn ended(&mut self, exit: Exit) -> Option<u32> {
        self.exit = Some(exit);
        self.deadline = None;
        let consumed = self.input.close();
        for output in &mut self.outputs {
            output.command_ended();
        }
        let attachment = self.attachment.as_mut()?;
        match self.input.has_ended() {
            true => None,
            false => attachment.window.consume(consumed),
        }
    }

    /// Whether the process has ended and nothing of its output is left to read, nor, with a stream, to send.
    pub fn is_finished(&self) -> bool {
        let unsent = match (&self.ring, &self.attachment) {
            (Some(ring), Some(attachment)) => attachment.cursor < ring.end(),
            _ => false,
        };
        self.exit.is_some() && self.outputs.iter().all(Output::is_closed) && !unsent
    }

    /// Sends END on both channels, where it was not sent yet.
    pub fn end_channels(&mut self, outbox: &mut Outbox) {
        if let Some(attachment) = &mut self.attachment {
            attachment.end(0, outbox);
            attachment.end(1, outbox);
        }
    }

    /// The `ok` object of CLOSE. Empty while the process runs.
    pub fn result(&self) -> Value {
        match self.exit {
            None => json!({}),
            Some(Exit::Code(code)) => json!({"exitCode": code}),
            Some(Exit::Signal(number)) if self.timed_out => {
                json!({"signal": signal_name(number), "timedOut": true})
            }
            Some(Exit::Signal(number)) => json!({"signal": signal_name(number)}),
        }
    }

    fn room(&self) -> usize {
        match (&self.ring, &self.attachment) {
            (Some(ring), Some(attachment)) => ring.room(attachment.cursor),
            _ => KEPT_OUTPUT,
        }
    }

    fn read(&mut self, output: usize, scratch: &mut [u8], outbox: &mut Outbox) {
        let mut limit = DATA_CHUNK.min(self.room());
        if let (None, Some(attachment)) = (&self.ring, &self.attachment) {
            limit = limit.min(attachment.credit[output].available());
        }
        // With no credit this is called only when nothing is left, to see the end.
        let read = self.outputs[output].read(&mut scratch[..limit.max(1)]);
        let channel = output as u8 + 1;
        match (read, &mut self.ring, &mut self.attachment) {
            (Read::Bytes(count), Some(ring), _) => ring.push(channel, &scratch[..count]),
            (Read::Bytes(count), None, Some(attachment)) => {
                attachment.credit[output].spend(count);
                outbox.data(attachment.stream, channel, &scratch[..count]);
            }
            (Read::End, None, Some(attachment)) => attachment.end(output, outbox),
            _ => {}
        }
    }

    fn replay(&mut self, outbox: &mut Outbox) {
        let (Some(ring), Some(attachment)) = (&self.ring, &mut self.attachment) else {
            return;
        };
        let Some((channel, at, bytes)) = ring.read(attachment.cursor) else {
            return;
        };
        let credit = &mut attachment.credit[slot(channel)];
        let count = bytes.len().min(DATA_CHUNK).min(credit.available());
        credit.spend(count);
        outbox.data(attachment.stream, channel, &bytes[..count]);
        attachment.cursor = at + count as u64;
    }
}

/// The index of channel 1 or 2 in arrays of outputs.
fn slot(channel: u8) -> usize {
    usize::from(channel == 2)
}
