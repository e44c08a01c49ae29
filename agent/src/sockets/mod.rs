//! Connections of the guest that the host asked for: dialled, or taken by a listening socket.

mod acceptor;
mod datagrams;
mod pipe;

pub use acceptor::{Acceptor, SocketName};
pub use datagrams::Datagrams;
pub use pipe::Pipe;

use std::os::fd::AsFd;

use rustix::io::Errno;
use serde_json::Value;

use crate::failure::{Code, Failure, Outcome, errno_words};
use crate::wire::{Outbox, Violation};

/// How far a connection has come.
#[derive(Debug)]
pub enum Progress {
    /// It waits for the kernel or for the host.
    Waits,
    /// There is more to do at once.
    More,
    /// Another descriptor is to be watched: the first address did not answer.
    Redialled,
    /// It is over.
    Over(Outcome<Value>),
}

/// A socket that belongs to a stream and carries what goes over it.
pub trait Carrier: AsFd + std::fmt::Debug {
    /// Whether the connection stands.
    fn is_connected(&self) -> bool;
    /// Notes what the kernel said.
    fn set_ready(&mut self, read: bool, write: bool);
    /// Takes bytes of the host; a violation if it had no credit for them.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Violation>;
    /// The host has nothing more to say.
    fn end_input(&mut self) -> Result<(), Violation>;
    /// The host has room for more.
    fn grant(&mut self, bytes: u32) -> Result<(), Violation>;
    /// Closes it, when it is dropped, so that the other side knows that something was cut off.
    fn abort(&mut self);
    /// Does what can be done without waiting, one piece each way.
    fn work(&mut self, scratch: &mut [u8], outbox: &mut Outbox) -> Progress;
}

/// An error about a connection.
fn refuse(doing: &str, endpoint: &str, errno: Errno) -> Failure {
    let code = match errno {
        Errno::CONNREFUSED => {
            return Failure::new(Code::FailedPrecondition, format!("nobody listens on {endpoint} in the guest"));
        }
        Errno::NOENT => Code::NotFound,
        Errno::ACCESS | Errno::PERM => Code::PermissionDenied,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Code::ResourceExhausted,
        Errno::AFNOSUPPORT | Errno::INVAL | Errno::PROTOTYPE => Code::InvalidArgument,
        _ => Code::FailedPrecondition,
    };
    Failure::new(code, format!("{doing} {endpoint}: {}", errno_words(errno.into())))
}
