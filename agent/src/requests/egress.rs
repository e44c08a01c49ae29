//! `egress`, `take`: the way out for a guest without a network card.

use std::net::Ipv4Addr;

use serde::Deserialize;

use super::invalid;
use crate::failure::Outcome;
use crate::requests::sockets::validate_window;

/// `egress`: a device whose connections the host carries.
#[derive(Debug, Deserialize)]
pub struct EgressRequest {
    /// The guest's address.
    pub address: Ipv4Addr,
    /// Where questions to the resolver go.
    pub gateway: Ipv4Addr,
}

impl EgressRequest {
    /// Refuses with `invalid_argument` what can be nobody's address.
    pub fn validate(&self) -> Outcome<()> {
        let is_odd = |address: Ipv4Addr| address.is_unspecified() || address.is_loopback() || address.is_multicast();
        match is_odd(self.address) || is_odd(self.gateway) || self.address == self.gateway {
            true => Err(invalid(format!("{} behind {} is no place in a network", self.address, self.gateway))),
            false => Ok(()),
        }
    }
}

/// `take`: a connection that `egress` has asked for.
#[derive(Debug, Deserialize)]
pub struct TakeRequest {
    /// Its number.
    pub id: u64,
    /// Bytes of credit that each channel of the stream starts with, instead of `WINDOW`.
    #[serde(default)]
    pub window: Option<u32>,
}

impl TakeRequest {
    /// Refuses with `invalid_argument` an impossible window.
    pub fn validate(&self) -> Outcome<()> {
        validate_window(self.window)
    }
}

/// CONTROL on the stream of `egress`.
#[derive(Debug, Default, Deserialize)]
pub struct EgressMessage {
    /// A connection that is not to be.
    #[serde(default)]
    pub refuse: Option<Refusal>,
}

/// Which one.
#[derive(Debug, Deserialize)]
pub struct Refusal {
    /// Its number.
    pub id: u64,
}
