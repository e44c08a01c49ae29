//! banger's guest agent: process 1 of every guest, serving the host over one byte stream.
//!
//! `wire` is the protocol as pure code, `requests` what can be asked, `exec` runs commands, `system` looks after the
//! machine, `upload` writes a file, `tree` packs and unpacks many, `halt` has processes stand still, `sockets` connects, `egress` is the way out without a network card, `sftp` serves files over SSH, `boot` gets process 1 started, and `server` is the loop that joins them.

pub mod boot;
pub mod console;
pub mod egress;
pub mod exec;
pub mod failure;
pub mod files;
pub mod halt;
pub mod requests;
pub mod server;
pub mod sftp;
pub mod sockets;
pub mod system;
pub mod tree;
pub mod upload;
pub mod wire;
