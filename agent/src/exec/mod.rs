//! Running commands: from a request to a process, its input and output, and its end.

mod cgroup;
mod child;
mod clone_args;
mod environment;
mod identity;
mod input;
mod launch;
mod output;
mod process;
mod pty;
mod ring;
mod search;
mod shield;
mod signal;
mod table;

pub use cgroup::Cgroups;
pub use identity::Identity;
pub use input::Input;
pub use launch::{Launcher, Spawned, identity_of};
pub use output::Output;
pub use process::{Attachment, Exec, Exit, Job};
pub use pty::resize;
pub use ring::Ring;
pub use signal::signal_from_name;
pub use table::{ExecKey, Execs};
