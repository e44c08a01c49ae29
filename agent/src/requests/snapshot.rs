//! `freeze` and `resumed`: before and after a snapshot.

use std::time::Duration;

use serde::Deserialize;

use super::configure::{HostEntry, Network, validate_hostname, validate_hosts, validate_machine_id, validate_resolver};
use super::invalid;
use crate::failure::Outcome;

/// How long file systems stay frozen when the host says nothing else.
const DEFAULT_FREEZE_MS: u64 = 10_000;
/// The longest that they stay frozen.
const MAX_FREEZE_MS: u64 = 60_000;

/// `freeze`: stop writes, or commands, or both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    /// Milliseconds until the guest thaws by itself.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Whether writable file systems are frozen; they are when nothing is said.
    #[serde(default)]
    pub file_systems: Option<bool>,
    /// Whether commands, and what they have started, stand still.
    #[serde(default)]
    pub commands: bool,
}

impl Freeze {
    /// Whether writable file systems are frozen.
    pub fn freezes_file_systems(&self) -> bool {
        self.file_systems.unwrap_or(true)
    }

    /// How long until the guest thaws by itself.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.unwrap_or(DEFAULT_FREEZE_MS).min(MAX_FREEZE_MS))
    }
}

/// `resumed`: the guest went on from a snapshot and is another machine now. What is absent stays.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// The host's clock, milliseconds since 1970.
    #[serde(default)]
    pub unix_time_ms: Option<u64>,
    /// Random bytes in base64.
    #[serde(default)]
    pub entropy: Option<String>,
    /// The new host name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The new `/etc/machine-id`.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// What `/proc/sys/kernel/random/boot_id` shows from now on.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Lines of `/etc/hosts` after the loopback's.
    #[serde(default)]
    pub hosts: Option<Vec<HostEntry>>,
    /// The network card's new MAC and place.
    #[serde(default)]
    pub network: Option<Network>,
    /// DNS servers.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// DNS search domains, written with the servers.
    #[serde(default)]
    pub search: Vec<String>,
}

impl Resumed {
    /// Refuses with `invalid_argument` what could not be written down safely.
    pub fn validate(&self) -> Outcome<()> {
        self.hostname.as_deref().map_or(Ok(()), validate_hostname)?;
        self.machine_id.as_deref().map_or(Ok(()), validate_machine_id)?;
        self.boot_id.as_deref().map_or(Ok(()), validate_boot_id)?;
        self.hosts.as_deref().map_or(Ok(()), validate_hosts)?;
        validate_resolver(&self.nameservers, &self.search)
    }
}

/// Refuses what is not 8-4-4-4-12 lower-case hexadecimal digits.
fn validate_boot_id(id: &str) -> Outcome<()> {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    match lengths == [8, 4, 4, 4, 12] && id.split('-').all(is_hex) {
        true => Ok(()),
        false => Err(invalid("bootId must be a UUID in lower case")),
    }
}
