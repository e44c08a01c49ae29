//! The requests and messages of one or two fields.

use serde::Deserialize;

/// `attach`: follow a detached command.
#[derive(Debug, Deserialize)]
pub struct Attach {
    /// The exec's id.
    pub id: String,
}

/// `signal`: to the process group of a command.
#[derive(Debug, Deserialize)]
pub struct SignalRequest {
    /// The exec's id.
    pub id: String,
    /// Signal name without `SIG`.
    pub signal: String,
}

/// `poweroff`: stop everything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PowerOffRequest {
    /// Milliseconds between TERM and KILL.
    #[serde(default)]
    pub grace_ms: u64,
}

/// `grow`: the writable disk has become larger.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grow {
    /// Bytes of the disk, which the kernel may not have heard of yet; 0: what it knows.
    #[serde(default)]
    pub disk_bytes: u64,
}

/// CONTROL on an exec's stream. Members that are absent or unknown are ignored.
#[derive(Debug, Default, Deserialize)]
pub struct ControlMessage {
    /// New size of the terminal.
    #[serde(default)]
    pub resize: Option<Resize>,
    /// Signal name without `SIG`.
    #[serde(default)]
    pub signal: Option<String>,
    /// Present: the command goes on without its stream.
    #[serde(default)]
    pub detach: Option<Detach>,
}

/// Nothing to say about it yet.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Detach {}

/// Size of a terminal.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Resize {
    /// Columns.
    pub cols: u16,
    /// Rows.
    pub rows: u16,
}
