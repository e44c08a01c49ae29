//! Requests: each is answered at once or gets an owner that answers later.

use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Server;
use super::poller::Source;
use crate::console;
use crate::exec::{Attachment, Cgroups, Exec, ExecKey, Input, Output, Ring, Spawned, signal_from_name};
use crate::failure::{Code, Failure, OrFail, Outcome, errno_words};
use crate::requests::{Configure, ExecRequest, Request, SignalRequest, parse_request};
use crate::system::{list_listeners, read_stats};
use crate::tree::stat;
use crate::wire::{FrameType, MAX_STREAMS};

impl Server {
    /// Acts on an OPEN whose stream id was checked.
    pub(super) fn open(&mut self, stream: u32, payload: &[u8]) {
        match self.serve(stream, payload) {
            Ok(None) => {}
            Ok(Some(value)) => self.close(stream, Ok(value)),
            Err(failure) => self.close(stream, Err(failure)),
        }
    }

    /// The answer, or `None` if an owner gives it later.
    fn serve(&mut self, stream: u32, payload: &[u8]) -> Outcome<Option<Value>> {
        if self.owners.len() >= MAX_STREAMS {
            let message = format!("{MAX_STREAMS} streams are open");
            return Err(Failure::new(Code::ResourceExhausted, message));
        }
        let request = parse_request(payload)?;
        self.check_state(&request)?;
        Ok(Some(match request {
            Request::Configure(request) => self.configure(*request)?,
            Request::Exec(request) => return self.exec(stream, &request),
            Request::Attach(request) => {
                self.attach(stream, &request.id)?;
                return Ok(None);
            }
            Request::Write(request) => {
                self.begin_upload(stream, &request)?;
                return Ok(None);
            }
            Request::Read(request) => {
                self.begin_read(stream, &request)?;
                return Ok(None);
            }
            Request::Put(request) => {
                self.begin_put(stream, request)?;
                return Ok(None);
            }
            Request::TarOut(request) => {
                self.begin_tar_out(stream, request)?;
                return Ok(None);
            }
            Request::TarIn(request) => {
                self.begin_tar_in(stream, &request)?;
                return Ok(None);
            }
            Request::Scan(request) => {
                self.begin_scan(stream, &request)?;
                return Ok(None);
            }
            Request::Pick(request) => {
                self.begin_pick(stream, &request)?;
                return Ok(None);
            }
            Request::Splice(request) => {
                self.begin_splice(stream, &request)?;
                return Ok(None);
            }
            Request::Dial(endpoint) => {
                self.dial(stream, &endpoint)?;
                return Ok(None);
            }
            Request::Datagrams(endpoint) => {
                self.open_datagrams(stream, &endpoint)?;
                return Ok(None);
            }
            Request::Egress(request) => {
                self.open_egress(stream, &request)?;
                return Ok(None);
            }
            Request::Take(request) => {
                self.take_flow(stream, &request)?;
                return Ok(None);
            }
            Request::Listen(endpoint) => {
                self.listen_socket(stream, &endpoint)?;
                return Ok(None);
            }
            Request::Accept(request) => {
                self.accept_socket(stream, &request)?;
                return Ok(None);
            }
            Request::Stat(request) => stat(&request)?,
            Request::Remove(request) => self.remove(&request)?,
            Request::Rename(request) => self.rename(&request)?,
            Request::PowerOff(request) => {
                self.begin_shutdown(stream, &request);
                return Ok(None);
            }
            Request::Ps => self.execs.list(),
            Request::Signal(request) => self.signal(&request)?,
            Request::Stats => read_stats(self.machine.usage()),
            Request::Listeners => list_listeners(),
            Request::Grow(request) => {
                self.refuse_frozen("the new size of the file system")?;
                json!({"diskTotalBytes": self.machine.grow(&request)?.total_bytes})
            }
            Request::Freeze(request) => self.freeze(&request)?,
            Request::Thaw => self.thaw()?,
            Request::Resumed(request) => self.resumed(&request)?,
        }))
    }

    fn check_state(&self, request: &Request) -> Outcome<()> {
        let refuse = |message: &str| Err(Failure::new(Code::FailedPrecondition, message));
        match (request, &self.env) {
            _ if self.shutdown.is_some() => refuse("the guest is powering off"),
            (Request::Stats | Request::PowerOff(_) | Request::Configure(_), None) => Ok(()),
            (_, None) => refuse("the guest is not configured"),
            (Request::Configure(_), Some(_)) => refuse("the guest is configured already"),
            (_, Some(_)) => Ok(()),
        }
    }

    fn configure(&mut self, request: Configure) -> Outcome<Value> {
        let steps = self.machine.configure(&request)?;
        if self.machine.is_beside_init() {
            self.poller.renew(self.signals.as_fd(), Source::Signals).or_fail(Code::Internal, "watching signals")?;
            if let Err(errno) = self.launcher.shield() {
                console::say(&format!("keeping the agent from being killed: {}", errno_words(errno.into())));
            }
        }
        self.launcher.cgroups = self.machine.cgroup_root().map(Cgroups::new);
        self.env = Some(request.env);
        let steps = steps.iter().map(|step| json!({"name": step.name, "ms": step.ms}));
        Ok(json!({"steps": steps.collect::<Vec<_>>()}))
    }

    fn exec(&mut self, stream: u32, request: &ExecRequest) -> Outcome<Option<Value>> {
        self.execs.check_new(&request.id)?;
        if self.freezer.holds_commands() {
            // Its process would stand still before it is anything, and this loop with it.
            let message = "the guest's commands are held for a snapshot";
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        let spawned = match &self.env {
            Some(env) => self.launcher.launch(request, env)?,
            None => self.launcher.launch(request, &Default::default())?,
        };
        let pid = spawned.pid;
        let key = self.adopt(spawned, request);
        let watched = self.watch(key).or_fail(Code::ResourceExhausted, "watching the process");
        let exec = self.execs.get(key);
        if let (Err(failure), Some(exec)) = (watched, exec) {
            exec.kill();
            exec.abandon();
            return Err(failure);
        }
        let pid = json!({"pid": pid.as_raw_nonzero().get()});
        if request.detach {
            return Ok(Some(pid));
        }
        if let Some(exec) = self.execs.get(key) {
            exec.attachment = Some(Attachment::new(stream));
        }
        self.own(stream, key);
        let started = json!({"started": pid}).to_string();
        self.connection.outbox.frame(FrameType::Control, stream, started.as_bytes());
        Ok(None)
    }

    fn adopt(&mut self, spawned: Spawned, request: &ExecRequest) -> ExecKey {
        let tty = request.tty.is_some();
        let mut outputs = spawned.outputs.into_iter().map(|fd| Output::new(fd, tty));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timeout = Some(request.timeout_ms).filter(|ms| *ms > 0);
        self.execs.insert(Exec {
            id: request.id.clone(),
            pid: spawned.pid,
            argv: request.shown_argv(),
            started_ms: now.as_millis() as u64,
            deadline: timeout.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
            input: Input::new(spawned.input, tty),
            outputs: [outputs.next().unwrap_or_default(), outputs.next().unwrap_or_default()],
            ring: request.detach.then(Ring::default),
            attachment: None,
            queued: [false; 3],
            tty,
            cgroup: spawned.cgroup,
            exit: None,
            timed_out: false,
            stop_signal: request.stop_signal(),
        })
    }

    fn watch(&mut self, key: ExecKey) -> rustix::io::Result<()> {
        let Some(exec) = self.execs.get(key) else {
            return Ok(());
        };
        if let Some(sink) = exec.input.sink() {
            self.poller.add(sink, Source::Input(key))?;
        }
        for (index, output) in exec.outputs.iter().enumerate() {
            if let Some(source) = output.source() {
                self.poller.add(source, Source::Output(key, index))?;
            }
        }
        Ok(())
    }

    fn attach(&mut self, stream: u32, id: &str) -> Outcome<()> {
        let key = self.find(id)?;
        let exec = self.execs.get(key).filter(|exec| exec.ring.is_some());
        let Some(exec) = exec else {
            let message = format!("exec {id:?} is not detached");
            return Err(Failure::new(Code::FailedPrecondition, message));
        };
        exec.input.restart();
        let earlier = exec.attachment.replace(Attachment::new(stream));
        if let Some(earlier) = earlier {
            let message = "another attachment took over";
            self.close(earlier.stream, Err(Failure::new(Code::FailedPrecondition, message)));
        }
        self.own(stream, key);
        self.enqueue(key);
        Ok(())
    }

    fn signal(&mut self, request: &SignalRequest) -> Outcome<Value> {
        let Some(signal) = signal_from_name(&request.signal) else {
            let message = format!("{:?} is no signal name", request.signal);
            return Err(Failure::new(Code::InvalidArgument, message));
        };
        let key = self.find(&request.id)?;
        match self.execs.get(key).filter(|exec| exec.exit.is_none()) {
            Some(exec) => exec.signal(signal),
            None => {
                let message = format!("exec {:?} has ended", request.id);
                return Err(Failure::new(Code::FailedPrecondition, message));
            }
        }
        Ok(json!({}))
    }

    fn find(&self, id: &str) -> Outcome<ExecKey> {
        let missing = || Failure::new(Code::NotFound, format!("there is no exec {id:?}"));
        self.execs.by_id(id).ok_or_else(missing)
    }
}
