//! Connections of the guest that the host asked for: dialled, or taken by a listening socket.

mod acceptor;
mod pipe;

pub use acceptor::Acceptor;
pub use pipe::{Pipe, Progress};

use rustix::io::Errno;

use crate::failure::{Code, Failure, errno_words};

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
