//! A host for tests: starts the agent on a socket pair and speaks the protocol to it. Waiting is done in `read`, with a
//! deadline that turns a hang into a failure.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::Duration;

use banger_agent::wire::{Decoder, Frame, FrameType, HELLO_TAG, MAX_PAYLOAD, append_frame};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

/// An agent process, ended when dropped; it kills everything that it has started.
pub struct Agent(pub Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// The host's end of a connection.
pub struct Host {
    stream: UnixStream,
    decoder: Decoder,
    tag: u32,
    next_stream: u32,
    waiting: VecDeque<Frame>,
    silent: Option<u32>,
    /// The facts of the ACK.
    pub facts: Value,
}

/// All that came on a stream until it was closed.
#[derive(Debug, Default)]
pub struct Answer {
    /// Channel 1.
    pub stdout: Vec<u8>,
    /// Channel 2.
    pub stderr: Vec<u8>,
    /// CONTROL messages.
    pub control: Vec<Value>,
    /// Channels that were ended, in order.
    pub ends: Vec<u8>,
    /// The payload of CLOSE.
    pub result: Value,
}

impl Answer {
    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).expect("UTF-8")
    }

    pub fn error_code(&self) -> &str {
        self.result["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {}", self.result))
    }
}

/// Starts an agent and returns the raw stream to it.
pub fn start_raw() -> (Agent, UnixStream) {
    start_with(&[])
}

fn start_with(more: &[&str]) -> (Agent, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    // The copy has no close-on-exec flag, so the agent inherits it; its number is the agent's argument.
    let inherited: OwnedFd = rustix::io::dup(&theirs).expect("a copy");
    let mut command = Command::new(env!("CARGO_BIN_EXE_banger-agent"));
    command.args(["--serve-fd", &inherited.as_raw_fd().to_string()]);
    command.args(more);
    let child = command.spawn().expect("the agent");
    (Agent(child), ours)
}

/// Starts an agent, connects, and configures it.
pub fn start() -> (Agent, Host) {
    let (agent, stream) = start_raw();
    let mut host = Host::connect(stream, false);
    host.configure();
    (agent, host)
}

/// Starts an agent that was configured before, and connects.
pub fn start_configured() -> (Agent, Host) {
    let (agent, stream) = start_with(&["--configured"]);
    (agent, Host::connect(stream, true))
}

impl Host {
    /// Says SYNC, after padding if asked to, and reads up to the ACK.
    pub fn connect(mut stream: UnixStream, padding: bool) -> Self {
        let mut nonce = [0; 16];
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut nonce)).expect("random bytes");
        nonce[0] |= 1;
        let mut bytes = vec![0; if padding { MAX_PAYLOAD + 12 } else { 0 }];
        append_frame(&mut bytes, HELLO_TAG, (FrameType::Sync, 0), &nonce, &[1, 0]);
        let header_at = send_while_reading(&mut stream, &bytes, &nonce);
        let tag = u32::from_le_bytes([nonce[0], nonce[1], nonce[2], nonce[3]]);
        let mut host = Host {
            stream,
            decoder: Decoder::new(tag),
            tag,
            next_stream: 1,
            waiting: VecDeque::new(),
            silent: None,
            facts: Value::Null,
        };
        host.decode(&header_at);
        let ack = host.read();
        assert_eq!((ack.kind, &ack.payload[..16]), (FrameType::Ack, &nonce[..]));
        host.facts = serde_json::from_slice(&ack.payload[18..]).expect("facts");
        host
    }

    /// The stream itself, for a connection that is given up or abused.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// The stream, the tag and the next stream id, for frames made by hand.
    pub fn into_parts(self) -> (UnixStream, u32, u32) {
        (self.stream, self.tag, self.next_stream)
    }

    /// A number that no exec of this host was named with yet.
    pub fn next_id(&self) -> u32 {
        self.next_stream
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the agent reads");
    }

    pub fn send(&mut self, kind: FrameType, stream: u32, payload: &[u8]) {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, self.tag, (kind, stream), payload, &[]);
        self.send_bytes(&bytes);
    }

    /// Sends frames with one call, one after the other. An OPEN among them is of the next stream.
    pub fn send_together(&mut self, frames: &[(FrameType, u32, &[u8])]) {
        let mut bytes = Vec::new();
        for (kind, stream, payload) in frames {
            append_frame(&mut bytes, self.tag, (*kind, *stream), payload, &[]);
            if *kind == FrameType::Open {
                self.next_stream = stream + 2;
            }
        }
        self.send_bytes(&bytes);
    }

    pub fn send_data(&mut self, stream: u32, bytes: &[u8]) {
        self.send(FrameType::Data, stream, &[&[0], bytes].concat());
    }

    pub fn send_end(&mut self, stream: u32) {
        self.send(FrameType::End, stream, &[0]);
    }

    pub fn send_control(&mut self, stream: u32, message: Value) {
        self.send(FrameType::Control, stream, message.to_string().as_bytes());
    }

    pub fn grant(&mut self, stream: u32, channel: u8, bytes: u32) {
        self.send(FrameType::Credit, stream, &[&[channel], &bytes.to_le_bytes()[..]].concat());
    }

    /// Opens a stream with this request.
    pub fn open(&mut self, request: Value) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.send(FrameType::Open, stream, request.to_string().as_bytes());
        stream
    }

    /// Opens a stream for an exec with this id and argv; `more` adds members.
    pub fn exec(&mut self, id: &str, argv: &[&str], more: Value) -> u32 {
        let mut request = json!({"kind": "exec", "id": id, "argv": argv});
        let members = more.as_object().cloned().unwrap_or_default();
        request.as_object_mut().expect("an object").extend(members);
        self.open(request)
    }

    /// Runs a shell script to its end with empty input.
    pub fn sh(&mut self, script: &str) -> Answer {
        let id = format!("sh-{}", self.next_stream);
        let stream = self.exec(&id, &["/bin/sh", "-c", script], json!({}));
        self.send_end(stream);
        self.finish(stream)
    }

    /// A request that is answered by CLOSE alone.
    pub fn request(&mut self, request: Value) -> Value {
        let stream = self.open(request);
        self.finish(stream).result
    }

    pub fn configure(&mut self) {
        let rootfs = json!({"disk": "rootfs", "type": "squashfs"});
        let env = json!({"PATH": "/usr/bin:/bin", "CONFIGURED": "yes"});
        let answer = self.request(json!({"kind": "configure", "hostname": "t", "rootfs": rootfs, "env": env}));
        assert!(answer["ok"]["steps"].is_array(), "{answer}");
    }

    /// The next frame.
    pub fn read(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return frame;
            }
            let mut buffer = vec![0; 65_536];
            let count = read_some(&mut self.stream, &mut buffer);
            assert!(count > 0, "the agent has closed the channel");
            self.decode(&buffer[..count]);
        }
    }

    /// The next frame of this stream; frames of others before it are dropped.
    pub fn read_of(&mut self, stream: u32) -> Frame {
        loop {
            let frame = self.read();
            if frame.stream == stream {
                return frame;
            }
            assert!(self.silent != Some(frame.stream) || frame.kind != FrameType::Data, "DATA without credit");
        }
    }

    /// Like `finish`, and asserts that `silent` sends no DATA meanwhile.
    pub fn finish_while_silent(&mut self, stream: u32, silent: u32) -> Answer {
        self.silent = Some(silent);
        let answer = self.finish(stream);
        self.silent = None;
        answer
    }

    /// Asserts that the agent has nothing to say but the answer to a PING. Everything that it could do before the PING was
    /// done by then only as far as this loop got, so use it after something that proves progress.
    pub fn expect_silence(&mut self) {
        self.send(FrameType::Ping, 0, b"silence?");
        let frame = self.read();
        assert_eq!(frame.kind, FrameType::Pong, "{frame:?}");
    }

    /// Asserts that it answers a PING, and says nothing but returning credit before.
    pub fn expect_silence_but_credit(&mut self) {
        self.read_up_to_pong(FrameType::Credit);
    }

    /// Asserts that it answers a PING, and sends nothing but DATA before.
    pub fn expect_silence_but_data(&mut self) {
        self.read_up_to_pong(FrameType::Data);
    }

    fn read_up_to_pong(&mut self, allowed: FrameType) {
        self.send(FrameType::Ping, 0, b"silence?");
        loop {
            match self.read().kind {
                FrameType::Pong => return,
                kind => assert_eq!(kind, allowed),
            }
        }
    }

    /// Reads until this stream gives `count` bytes on channel 1 more; grants nothing.
    pub fn read_data(&mut self, stream: u32, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < count {
            let frame = self.read_of(stream);
            match frame.kind {
                FrameType::Data => out.extend(&frame.payload[1..]),
                FrameType::Control | FrameType::Credit => {}
                // Of a command that writes nothing on stderr.
                FrameType::End if frame.payload == [2] => {}
                kind => panic!("{kind:?} after {} bytes: {}", out.len(), String::from_utf8_lossy(&frame.payload)),
            }
        }
        out
    }

    /// Reads until a stream is closed, granting credit for what it sends.
    pub fn finish(&mut self, stream: u32) -> Answer {
        let mut answer = Answer::default();
        loop {
            let Frame { kind, payload, .. } = self.read_of(stream);
            match kind {
                FrameType::Data => {
                    let channel = payload[0];
                    let kept = if channel == 1 { &mut answer.stdout } else { &mut answer.stderr };
                    kept.extend(&payload[1..]);
                    self.grant(stream, channel, payload.len() as u32 - 1);
                }
                FrameType::Control => answer.control.push(serde_json::from_slice(&payload).expect("JSON")),
                FrameType::End => answer.ends.extend(&payload),
                FrameType::Credit => {}
                FrameType::Close => {
                    answer.result = serde_json::from_slice(&payload).expect("JSON");
                    return answer;
                }
                kind => panic!("{kind:?}"),
            }
        }
    }

    fn decode(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.decoder.decode(&mut bytes).expect("well-formed frames") {
            self.waiting.push_back(frame);
        }
    }
}

/// Reads what is there. A socket with a deadline says EINTR when the end of another test's child was told to this thread (socket(7)).
pub fn read_some(stream: &mut UnixStream, buffer: &mut [u8]) -> usize {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            count => return count.expect("the agent answers in time"),
        }
    }
}

/// Writes the start of a connection while discarding what an earlier one left in the pipe, so that neither side waits for the
/// other. Returns the bytes from the ACK's header on.
fn send_while_reading(stream: &mut UnixStream, bytes: &[u8], nonce: &[u8; 16]) -> Vec<u8> {
    let mut writer = stream.try_clone().expect("a copy");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(bytes).expect("the agent reads"));
        let mut seen = Vec::new();
        loop {
            let mut buffer = vec![0; 65_536];
            let count = read_some(stream, &mut buffer);
            assert!(count > 0, "the agent has closed the channel");
            seen.extend(&buffer[..count]);
            if let Some(at) = seen.windows(16).position(|window| window == nonce) {
                return seen.split_off(at - 8);
            }
        }
    })
}
