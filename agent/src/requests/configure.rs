//! `configure`: how the guest is to be set up.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::invalid;
use crate::failure::Outcome;

/// Directories that one request may name.
const MAX_DIRECTORIES: usize = 256;
/// The init and its arguments.
const MAX_INIT_ARGS: usize = 64;

/// The whole request. Fields are those of `protocol/README.md`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configure {
    /// Host name, one line.
    pub hostname: String,
    /// `/etc/machine-id`; absent leaves the image's.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// `agent` (the default) or `systemd`.
    #[serde(default)]
    pub init: Option<String>,
    /// The init and its arguments; empty: where inits usually are.
    #[serde(default)]
    pub init_argv: Vec<String>,
    /// Absolute paths of directories that are to be there.
    #[serde(default)]
    pub directories: Vec<String>,
    /// The read-only root.
    pub rootfs: Disk,
    /// The writable layer; a tmpfs when absent.
    #[serde(default)]
    pub writable: Option<Disk>,
    /// Defaults of the environment of every exec.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Lines of `/etc/hosts` after the loopback's.
    #[serde(default)]
    pub hosts: Vec<HostEntry>,
    /// The network card; none stays as the kernel leaves it.
    #[serde(default)]
    pub network: Option<Network>,
    /// DNS servers; none leaves the image's `/etc/resolv.conf`.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// DNS search domains.
    #[serde(default)]
    pub search: Vec<String>,
    /// Further disks.
    #[serde(default)]
    pub mounts: Vec<Volume>,
    /// The host's clock, milliseconds since 1970.
    #[serde(default)]
    pub unix_time_ms: Option<u64>,
    /// Random bytes in base64.
    #[serde(default)]
    pub entropy: Option<String>,
    /// How the machine is switched off.
    #[serde(default)]
    pub poweroff: PowerOff,
}

/// A disk and what is on it.
#[derive(Debug, Deserialize)]
pub struct Disk {
    /// Virtio serial.
    pub disk: String,
    /// File system type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One line of `/etc/hosts`.
#[derive(Debug, Deserialize)]
pub struct HostEntry {
    /// IPv4 or IPv6 address.
    pub address: String,
    /// Names of it.
    pub names: Vec<String>,
}

/// The guest's place in the network.
#[derive(Debug, Deserialize)]
pub struct Network {
    /// MAC of the card, lower case with colons.
    pub mac: String,
    /// The guest's address; `0.0.0.0` for one that gets its place later.
    pub address: Ipv4Addr,
    /// Where every packet goes.
    pub gateway: Ipv4Addr,
    /// The same over IPv6; absent: the guest has none.
    #[serde(default)]
    pub ipv6: Option<Place6>,
}

/// A place in an IPv6 network.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Place6 {
    /// The guest's address.
    pub address: Ipv6Addr,
    /// Where every packet goes.
    pub gateway: Ipv6Addr,
}

/// A disk mounted inside the root.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Virtio serial.
    pub disk: String,
    /// File system type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Absolute path in the guest without `.` and `..`.
    pub target: String,
    /// Whether writes are refused.
    #[serde(default)]
    pub read_only: bool,
}

/// The way to switch the machine off.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PowerOff {
    /// ACPI power off.
    #[default]
    Acpi,
    /// A reset, which the hypervisor takes as its end.
    Reset,
}

impl Configure {
    /// Refuses with `invalid_argument` what could not be written down safely.
    pub fn validate(&self) -> Outcome<()> {
        validate_hostname(&self.hostname)?;
        self.machine_id.as_deref().map_or(Ok(()), validate_machine_id)?;
        validate_hosts(&self.hosts)?;
        validate_resolver(&self.nameservers, &self.search)?;
        if let Some(Volume { target, .. }) = self.mounts.iter().find(|volume| !is_path(&volume.target)) {
            return Err(invalid(format!("mounts: bad target {target:?}")));
        }
        if let Some(path) = self.directories.iter().find(|path| !is_path(path)) {
            return Err(invalid(format!("directories: bad path {path:?}")));
        }
        if self.directories.len() > MAX_DIRECTORIES || self.init_argv.len() > MAX_INIT_ARGS {
            let message = format!("more than {MAX_DIRECTORIES} directories or {MAX_INIT_ARGS} arguments of the init");
            return Err(invalid(message));
        }
        super::exec::validate_env(&self.env)
    }
}

/// Refuses a host name that is not 1 to 64 visible characters.
pub fn validate_hostname(hostname: &str) -> Outcome<()> {
    match hostname.len() <= 64 && is_word(hostname) {
        true => Ok(()),
        false => Err(invalid("hostname must be 1 to 64 visible characters")),
    }
}

/// Refuses what is not 32 lower-case hexadecimal digits (machine-id(5)).
pub fn validate_machine_id(id: &str) -> Outcome<()> {
    match id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        true => Ok(()),
        false => Err(invalid("machineId must be 32 hexadecimal digits in lower case")),
    }
}

/// Refuses entries that would not be one line each.
pub fn validate_hosts(hosts: &[HostEntry]) -> Outcome<()> {
    for HostEntry { address, names } in hosts {
        if address.parse::<IpAddr>().is_err() || !names.iter().all(|name| is_word(name)) {
            return Err(invalid(format!("hosts: bad entry for {address:?}")));
        }
    }
    Ok(())
}

/// Refuses what is no address or no word.
pub fn validate_resolver(nameservers: &[String], search: &[String]) -> Outcome<()> {
    if let Some(bad) = nameservers.iter().find(|text| text.parse::<IpAddr>().is_err()) {
        return Err(invalid(format!("nameservers: {bad:?} is no IP address")));
    }
    match search.iter().find(|text| !is_word(text)) {
        Some(bad) => Err(invalid(format!("search: {bad:?} is no domain"))),
        None => Ok(()),
    }
}

/// Whether it is absolute, not the root, and without `.` and `..`.
fn is_path(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("") && path.len() > 1 && !path.contains('\0') && !parts.any(|part| matches!(part, "." | ".."))
}

/// Whether `text` is one word on one line.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
}
