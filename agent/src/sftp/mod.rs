//! The agent's own server for files over SSH: version 3 of the SFTP protocol (draft-ietf-secsh-filexfer-02) with the extensions that
//! OpenSSH's clients use (its file PROTOCOL, section 4). A process of its own, with the rights of who asked: every image has it.

mod attributes;
mod fields;
mod handles;
mod listing;
mod paths;
mod reply;
mod session;

use std::os::fd::BorrowedFd;

use rustix::io::{Errno, read, retry_on_intr, write};

pub use session::{Session, Violation};

/// The argument that makes the agent's binary this server.
pub const ARGUMENT: &std::ffi::CStr = c"--sftp";
/// Longest packet, without its length: what OpenSSH's sides take (SFTP_MAX_MSG_LENGTH).
pub const MAX_PACKET: usize = 256 * 1024;
/// Answers wait until there are so many bytes of them, or nothing more to answer.
const FLUSH_AT: usize = 64 * 1024;
const READ_SIZE: usize = 64 * 1024;

/// Why a session ended that its client has not ended.
#[derive(Debug)]
pub enum End {
    /// Its client broke the protocol.
    Violation(Violation),
    /// Its input or output is gone.
    Io(Errno),
}

/// Serves one client until it has no more to ask.
pub fn serve(input: BorrowedFd, output: BorrowedFd) -> Result<(), End> {
    let mut session = Session::default();
    let (mut pending, mut answers) = (Vec::new(), Vec::new());
    let mut scratch = vec![0; READ_SIZE];
    loop {
        let count = retry_on_intr(|| read(input, scratch.as_mut_slice())).map_err(End::Io)?;
        if count == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&scratch[..count]);
        let mut at = 0;
        while let Some(packet) = next_packet(&pending[at..]).map_err(End::Violation)? {
            at += packet.len() + 4;
            session.answer(packet, &mut answers).map_err(End::Violation)?;
            if answers.len() >= FLUSH_AT {
                flush(output, &mut answers)?;
            }
        }
        pending.drain(..at);
        flush(output, &mut answers)?;
    }
}

/// The first whole packet, without its length. At most one that is not whole stays behind, so that what is pending is bounded.
fn next_packet(pending: &[u8]) -> Result<Option<&[u8]>, Violation> {
    let Some((length, rest)) = pending.split_first_chunk() else {
        return Ok(None);
    };
    match u32::from_be_bytes(*length) as usize {
        0 => Err(Violation("an empty packet")),
        length if length > MAX_PACKET => Err(Violation("a packet that is too long")),
        length => Ok(rest.get(..length)),
    }
}

fn flush(output: BorrowedFd, answers: &mut Vec<u8>) -> Result<(), End> {
    let mut rest = answers.as_slice();
    while !rest.is_empty() {
        let count = retry_on_intr(|| write(output, rest)).map_err(End::Io)?;
        rest = &rest[count..];
    }
    answers.clear();
    Ok(())
}
