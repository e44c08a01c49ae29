//! `banger-agent`: process 1 of a guest, first and, where an init of the image's own takes its place, last; or with `--serve-unix PATH` or `--serve-fd N` a rehearsal for tests on the host; with
//! `--configured` a rehearsal of a guest that goes on from a snapshot.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use banger_agent::boot::boot;
use banger_agent::console;
use banger_agent::failure::{Code, Failure, OrFail, Outcome};
use banger_agent::server::{Channel, Link, LinkKind, Listener, Server};
use banger_agent::sftp;
use banger_agent::system::{RealMachine, Rehearsal, hand_back, is_handback};

fn main() {
    std::panic::set_hook(Box::new(|info| console::die(&info.to_string())));
    let is_init = rustix::process::getpid().as_raw_nonzero().get() == 1;
    if is_init && is_handback() {
        hand_back();
    }
    if !is_init && std::env::args_os().nth(1).is_some_and(|first| first.as_encoded_bytes() == sftp::ARGUMENT.to_bytes())
    {
        return serve_sftp();
    }
    let result = if is_init { serve_guest() } else { rehearse() };
    if let Err(failure) = result {
        console::die(&failure.message);
    }
}

fn serve_guest() -> Outcome<()> {
    let channel = boot()?;
    Server::new(channel, Box::new(RealMachine::default()), true)?.run()
}

/// Serves files on standard input and output, as a command of the guest.
fn serve_sftp() {
    match sftp::serve(std::io::stdin().as_fd(), std::io::stdout().as_fd()) {
        // A client that has gone needs no words.
        Ok(()) | Err(sftp::End::Io(_)) => {}
        Err(sftp::End::Violation(violation)) => console::die(&format!("the sftp client sent {}", violation.0)),
    }
}

/// Commands run on the host, and nothing else of it is touched.
fn rehearse() -> Outcome<()> {
    let usage =
        || Failure::new(Code::InvalidArgument, "usage: banger-agent --serve-unix PATH | --serve-fd N [--configured]");
    let mut args = std::env::args().skip(1);
    let (Some(mode), Some(value)) = (args.next(), args.next()) else {
        return Err(usage());
    };
    let configured = match (args.next().as_deref(), args.next()) {
        (None, None) => false,
        (Some("--configured"), None) => true,
        _ => return Err(usage()),
    };
    let channel = match mode.as_str() {
        "--serve-unix" => {
            Channel::Listening(Listener::unix(&value).or_fail(Code::Internal, format!("listening on {value}"))?)
        }
        "--serve-fd" => {
            let fd: i32 = value.parse().map_err(|_| usage())?;
            if fd <= 2 {
                return Err(usage());
            }
            let fd = take_descriptor(fd).or_fail(Code::InvalidArgument, format!("--serve-fd {fd}"))?;
            Channel::Fixed(Link::new(fd, LinkKind::Only))
        }
        _ => return Err(usage()),
    };
    // Orphans of commands come to this process, as they come to process 1.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .or_fail(Code::Internal, "becoming a subreaper")?;
    let mut server = Server::new(channel, Box::new(Rehearsal), false)?;
    if configured {
        server.assume_configured(std::env::vars().filter(|(name, _)| name == "PATH").collect());
    }
    server.run()
}

/// Owns the descriptor that whoever started the agent has handed to it, made non-blocking and not inherited any further.
fn take_descriptor(fd: i32) -> rustix::io::Result<OwnedFd> {
    // SAFETY: borrowed only to ask whether it is open; a closed one is an error of that call.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) })?;
    // SAFETY: it is open, and nothing else in this process knows of it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::ioctl_fionbio(&fd, true)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}
