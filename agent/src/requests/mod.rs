//! Requests of the host, from JSON to types (section 4). Parsing only: acting on them is done elsewhere.

mod base64;
mod configure;
mod egress;
mod exec;
mod files;
mod small;
mod snapshot;
mod sockets;
mod trees;
mod write;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::{Code, Failure, Outcome};

pub use base64::decode_base64;
pub use configure::{Configure, Disk, HostEntry, Network, Place6, PowerOff, Volume};
pub use egress::{EgressMessage, EgressRequest, TakeRequest};
pub use exec::{Builtin, ExecRequest, Tty};
pub use files::{PutRequest, ReadRequest, StatRequest, TarEntry, TarInRequest, TarOutRequest};
pub use small::{Attach, ControlMessage, Grow, PowerOffRequest, Resize, SignalRequest};
pub use snapshot::{Freeze, Resumed};
pub use sockets::{AcceptRequest, Endpoint};
pub use trees::{NamesRequest, RenameRequest, ScanRequest, SpliceRequest};
pub use write::WriteRequest;

/// One request, checked as far as that is possible without looking at the guest.
#[derive(Debug)]
pub enum Request {
    /// Mount, name and set up everything.
    Configure(Box<Configure>),
    /// Run a command.
    Exec(Box<ExecRequest>),
    /// Follow a detached command.
    Attach(Attach),
    /// List commands.
    Ps,
    /// Signal a command by id.
    Signal(SignalRequest),
    /// Write a file.
    Write(WriteRequest),
    /// Look at a path.
    Stat(StatRequest),
    /// Read a file.
    Read(ReadRequest),
    /// Write a file in several attempts.
    Put(PutRequest),
    /// Pack files.
    TarOut(TarOutRequest),
    /// Unpack files.
    TarIn(TarInRequest),
    /// Look at a tree.
    Scan(ScanRequest),
    /// Pack files of a tree.
    Pick(NamesRequest),
    /// Remove files of a tree.
    Remove(NamesRequest),
    /// Give a tree its name.
    Rename(RenameRequest),
    /// Make a file anew.
    Splice(SpliceRequest),
    /// Connect.
    Dial(Endpoint),
    /// Send and receive datagrams.
    Datagrams(Endpoint),
    /// The way out.
    Egress(EgressRequest),
    /// Take a connection of it.
    Take(TakeRequest),
    /// Wait for connections.
    Listen(Endpoint),
    /// Take a connection.
    Accept(AcceptRequest),
    /// Figures about the guest.
    Stats,
    /// Listening sockets.
    Listeners,
    /// The writable disk has grown.
    Grow(Grow),
    /// Stop writes.
    Freeze(Freeze),
    /// Allow writes again.
    Thaw,
    /// A snapshot was resumed.
    Resumed(Box<Resumed>),
    /// Stop everything.
    PowerOff(PowerOffRequest),
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// Parses the payload of an OPEN. `invalid_argument` for what is not a request, `unsupported` for an unknown kind.
pub fn parse_request(payload: &[u8]) -> Outcome<Request> {
    let Kind { kind } = parse("request", payload)?;
    Ok(match kind.as_str() {
        "configure" => {
            let request: Configure = parse("configure", payload)?;
            request.validate()?;
            Request::Configure(Box::new(request))
        }
        "exec" => {
            let request: ExecRequest = parse("exec", payload)?;
            request.validate()?;
            Request::Exec(Box::new(request))
        }
        "attach" => Request::Attach(parse("attach", payload)?),
        "ps" => Request::Ps,
        "signal" => Request::Signal(parse("signal", payload)?),
        "write" => {
            let request: WriteRequest = parse("write", payload)?;
            request.validate()?;
            Request::Write(request)
        }
        "stat" => Request::Stat(checked("stat", payload, StatRequest::validate)?),
        "read" => Request::Read(checked("read", payload, ReadRequest::validate)?),
        "put" => Request::Put(checked("put", payload, PutRequest::validate)?),
        "tar-out" => Request::TarOut(checked("tar-out", payload, TarOutRequest::validate)?),
        "tar-in" => Request::TarIn(checked("tar-in", payload, TarInRequest::validate)?),
        "scan" => Request::Scan(checked("scan", payload, ScanRequest::validate)?),
        "pick" => Request::Pick(checked("pick", payload, NamesRequest::validate)?),
        "remove" => Request::Remove(checked("remove", payload, NamesRequest::validate)?),
        "rename" => Request::Rename(checked("rename", payload, RenameRequest::validate)?),
        "splice" => Request::Splice(checked("splice", payload, SpliceRequest::validate)?),
        "dial" => Request::Dial(checked("dial", payload, |request: &Endpoint| request.validate(true))?),
        "datagrams" => Request::Datagrams(checked("datagrams", payload, Endpoint::validate_datagrams)?),
        "egress" => Request::Egress(checked("egress", payload, EgressRequest::validate)?),
        "take" => Request::Take(checked("take", payload, TakeRequest::validate)?),
        "listen" => Request::Listen(checked("listen", payload, |request: &Endpoint| request.validate(false))?),
        "accept" => Request::Accept(parse("accept", payload)?),
        "stats" => Request::Stats,
        "listeners" => Request::Listeners,
        "grow" => Request::Grow(parse("grow", payload)?),
        "freeze" => Request::Freeze(parse("freeze", payload)?),
        "thaw" => Request::Thaw,
        "resumed" => {
            let request: Resumed = parse("resumed", payload)?;
            request.validate()?;
            Request::Resumed(Box::new(request))
        }
        "poweroff" => Request::PowerOff(parse("poweroff", payload)?),
        _ => {
            let message = format!("this agent knows no request of kind {kind:?}");
            return Err(Failure::new(Code::Unsupported, message));
        }
    })
}

fn parse<T: DeserializeOwned>(what: &str, payload: &[u8]) -> Outcome<T> {
    serde_json::from_slice(payload).map_err(|error| Failure::new(Code::InvalidArgument, format!("{what}: {error}")))
}

fn checked<T: DeserializeOwned>(what: &str, payload: &[u8], check: impl Fn(&T) -> Outcome<()>) -> Outcome<T> {
    let request = parse(what, payload)?;
    check(&request)?;
    Ok(request)
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Code::InvalidArgument, message)
}

#[cfg(test)]
mod tests;
