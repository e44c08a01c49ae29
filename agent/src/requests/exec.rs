//! `exec`: the command to run.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde::Deserialize;

use super::invalid;
use crate::exec::signal_from_name;
use crate::failure::Outcome;

/// Entries of argv and of env, each.
const MAX_ARGS: usize = 4096;

/// The whole request. Fields are those of `protocol/README.md`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecRequest {
    /// Name for `attach`, `signal` and `ps`.
    pub id: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to the configured environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Absolute working directory; absent: the user's home.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Absolute working directory that is taken instead, where it is there and the user may enter it.
    #[serde(default)]
    pub enter: Option<String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; absent: root.
    #[serde(default)]
    pub user: Option<String>,
    /// A terminal instead of pipes.
    #[serde(default)]
    pub tty: Option<Tty>,
    /// Milliseconds until it is killed, 0 for never.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Whether it belongs to no stream.
    #[serde(default)]
    pub detach: bool,
    /// Name, without `SIG`, of the signal that asks it to end at a power off; absent: TERM.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// What the agent itself runs in place of `argv`, which is for agents that do not know it.
    #[serde(default)]
    pub builtin: Option<Builtin>,
}

/// Programs that the agent has in itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Builtin {
    /// A server of files over SSH on standard input and output.
    Sftp,
}

impl Builtin {
    /// Its name among commands.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Sftp => "sftp-server",
        }
    }
}

/// The terminal of a command.
#[derive(Debug, Deserialize)]
pub struct Tty {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
    /// The value of `TERM` unless `env` gives one.
    #[serde(default)]
    pub term: Option<String>,
}

impl ExecRequest {
    /// What it is among commands.
    pub fn shown_argv(&self) -> Vec<String> {
        self.builtin.map_or_else(|| self.argv.clone(), |builtin| vec![builtin.name().to_string()])
    }

    /// What asks it to end, where that is not TERM.
    pub fn stop_signal(&self) -> Option<Signal> {
        self.stop_signal.as_deref().and_then(signal_from_name).filter(|signal| *signal != Signal::TERM)
    }

    /// Refuses with `invalid_argument` what no kernel could run.
    pub fn validate(&self) -> Outcome<()> {
        if !is_id(&self.id) {
            return Err(invalid("id must be 1 to 64 characters of A-Za-z0-9_-"));
        }
        if let Some(name) = self.stop_signal.as_deref().filter(|name| signal_from_name(name).is_none()) {
            return Err(invalid(format!("stopSignal: {name:?} is no signal name")));
        }
        if self.argv.is_empty() || self.argv.len() > MAX_ARGS {
            return Err(invalid(format!("argv must have 1 to {MAX_ARGS} entries")));
        }
        if self.argv.iter().any(|arg| arg.contains('\0')) {
            return Err(invalid("argv holds a NUL byte"));
        }
        for (name, path) in [("cwd", &self.cwd), ("enter", &self.enter)] {
            if let Some(path) = path.as_ref().filter(|path| !path.starts_with('/') || path.contains('\0')) {
                return Err(invalid(format!("{name} {path:?} is no absolute path")));
            }
        }
        let term = self.tty.as_ref().and_then(|tty| tty.term.as_deref());
        if term.is_some_and(|term| term.contains('\0')) {
            return Err(invalid("term holds a NUL byte"));
        }
        validate_env(&self.env)
    }
}

/// Refuses an environment that has too many entries, or one that cannot be written as `NAME=value`.
pub fn validate_env(env: &BTreeMap<String, String>) -> Outcome<()> {
    if env.len() > MAX_ARGS {
        return Err(invalid(format!("env has more than {MAX_ARGS} entries")));
    }
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(invalid(format!("env: bad variable {name:?}")));
        }
    }
    Ok(())
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}
