//! `dial`, `listen`, `accept`: connections of the guest.

use std::net::IpAddr;

use serde::Deserialize;

use super::invalid;
use crate::failure::Outcome;
use crate::wire::WINDOW;

/// The smallest window that a connection may ask for.
const MIN_WINDOW: u32 = 4096;
/// Bytes of a Unix socket's path (unix(7)), without its NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Where a socket is: an address and a port, or a path.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    /// IPv4 or IPv6 address; absent: the loopback's.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// TCP port; 0 to listen on any.
    #[serde(default)]
    pub port: Option<u16>,
    /// Absolute path of a Unix socket.
    #[serde(default)]
    pub unix: Option<String>,
    /// Bytes of credit that each channel of the stream starts with, instead of `WINDOW`; to dial only.
    #[serde(default)]
    pub window: Option<u32>,
    /// Whose a listening Unix socket is, as `user` of `exec`; nobody but the owner may connect. Absent: root.
    #[serde(default)]
    pub owner: Option<String>,
}

/// `accept`: a connection that a `listen` has announced.
#[derive(Debug, Deserialize)]
pub struct AcceptRequest {
    /// Its number.
    pub id: u64,
}

impl Endpoint {
    /// Refuses with `invalid_argument` what no datagram can be sent to.
    pub fn validate_datagrams(&self) -> Outcome<()> {
        if self.unix.is_some() {
            return Err(invalid("datagrams go to a port"));
        }
        self.validate(true)
    }

    /// Refuses with `invalid_argument` what is neither a port nor a path.
    pub fn validate(&self, dialled: bool) -> Outcome<()> {
        if !dialled && self.window.is_some() {
            return Err(invalid("a window is a connection's"));
        }
        validate_window(self.window)?;
        match (&self.unix, self.port) {
            (Some(path), None) => {
                match path.starts_with('/') && path.len() <= MAX_SOCKET_PATH && !path.contains('\0') {
                    true => Ok(()),
                    false => Err(invalid(format!("{path:?} is no path of a socket"))),
                }
            }
            (None, Some(port)) if port > 0 || !dialled => Ok(()),
            _ => Err(invalid("a connection needs a port or the path of a socket")),
        }
    }
}

/// Refuses with `invalid_argument` an impossible window.
pub(super) fn validate_window(window: Option<u32>) -> Outcome<()> {
    match window.is_some_and(|window| !(MIN_WINDOW..=WINDOW).contains(&window)) {
        true => Err(invalid(format!("a window is from {MIN_WINDOW} to {WINDOW} bytes"))),
        false => Ok(()),
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.unix, self.address, self.port) {
            (Some(path), ..) => f.write_str(path),
            (None, Some(address), Some(port)) => write!(f, "{}", std::net::SocketAddr::new(address, port)),
            (None, _, port) => write!(f, "localhost:{}", port.unwrap_or(0)),
        }
    }
}
