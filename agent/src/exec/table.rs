//! All commands that run or are remembered.

use std::collections::{BTreeMap, VecDeque};

use rustix::process::Pid;
use serde_json::{Value, json};

use super::process::Exec;
use crate::failure::{Code, Failure, Outcome};

/// Commands that run at once, detached ones included.
const MAX_RUNNING: usize = 512;
/// Ended detached commands that are remembered.
const REMEMBERED: usize = 64;
/// Bytes of `ps` that leave room for the rest of the frame.
const MAX_LISTING: usize = 250_000;

/// Names a command inside the agent; never used twice.
pub type ExecKey = u64;

/// The commands by key.
#[derive(Debug, Default)]
pub struct Execs {
    by_key: BTreeMap<ExecKey, Exec>,
    next: ExecKey,
    /// Ended detached commands, oldest first.
    ended: VecDeque<ExecKey>,
}

impl Execs {
    /// Refuses a new command whose id is in use, or one too many.
    pub fn check_new(&self, id: &str) -> Outcome<()> {
        if self.by_id(id).is_some() {
            let message = format!("an exec with id {id:?} is running or remembered");
            return Err(Failure::new(Code::FailedPrecondition, message));
        }
        if self.by_key.len() - self.ended.len() >= MAX_RUNNING {
            let message = format!("{MAX_RUNNING} commands are running");
            return Err(Failure::new(Code::ResourceExhausted, message));
        }
        Ok(())
    }

    /// Adds a command.
    pub fn insert(&mut self, exec: Exec) -> ExecKey {
        self.next += 1;
        self.by_key.insert(self.next, exec);
        self.next
    }

    /// The command with this key.
    pub fn get(&mut self, key: ExecKey) -> Option<&mut Exec> {
        self.by_key.get_mut(&key)
    }

    /// The key of the command with this id.
    pub fn by_id(&self, id: &str) -> Option<ExecKey> {
        let found = self.by_key.iter().find(|(_, exec)| exec.id == id);
        found.map(|(key, _)| *key)
    }

    /// The key of the command that is this running process.
    pub fn by_pid(&self, pid: Pid) -> Option<ExecKey> {
        let mut running = self.by_key.iter().filter(|(_, exec)| exec.exit.is_none());
        running.find(|(_, exec)| exec.pid == pid).map(|(key, _)| *key)
    }

    /// All commands.
    pub fn iter(&mut self) -> impl Iterator<Item = (ExecKey, &mut Exec)> {
        self.by_key.iter_mut().map(|(key, exec)| (*key, exec))
    }

    /// The keys of all commands.
    pub fn keys(&self) -> Vec<ExecKey> {
        self.by_key.keys().copied().collect()
    }

    /// Forgets a command.
    pub fn remove(&mut self, key: ExecKey) -> Option<Exec> {
        self.ended.retain(|ended| *ended != key);
        self.by_key.remove(&key)
    }

    /// Keeps an ended detached command; returns the one that was forgotten for it.
    pub fn remember(&mut self, key: ExecKey) -> Option<Exec> {
        if !self.ended.contains(&key) {
            self.ended.push_back(key);
        }
        if self.ended.len() <= REMEMBERED {
            return None;
        }
        let oldest = self.ended.pop_front()?;
        self.by_key.remove(&oldest)
    }

    /// The answer to `ps`. Arguments are cut where the list would not fit a frame.
    pub fn list(&self) -> Value {
        [usize::MAX, 64, 0]
            .into_iter()
            .map(|limit| self.list_cut(limit))
            .find(|list| list.to_string().len() <= MAX_LISTING)
            .unwrap_or_else(|| json!({"execs": []}))
    }

    fn list_cut(&self, argv_limit: usize) -> Value {
        let entry = |exec: &Exec| {
            let mut entry = exec.result();
            entry["id"] = json!(exec.id);
            entry["pid"] = json!(exec.pid.as_raw_nonzero().get());
            entry["argv"] = json!(cut(&exec.argv, argv_limit));
            entry["startedMs"] = json!(exec.started_ms);
            entry["running"] = json!(exec.exit.is_none());
            entry["tty"] = json!(exec.tty);
            entry["detached"] = json!(exec.ring.is_some());
            entry
        };
        json!({"execs": self.by_key.values().map(entry).collect::<Vec<_>>()})
    }
}

/// The first arguments that together have at most `limit` bytes; of the next one as much as fits.
fn cut(argv: &[String], mut limit: usize) -> Vec<&str> {
    let mut out = Vec::new();
    for arg in argv {
        if arg.len() > limit {
            out.push(&arg[..arg.floor_char_boundary(limit)]);
            break;
        }
        limit -= arg.len();
        out.push(arg.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_keeps_whole_characters_within_the_limit() {
        let argv = ["make".to_string(), "häuser".to_string(), "x".to_string()];
        assert_eq!(cut(&argv, usize::MAX), ["make", "häuser", "x"]);
        assert_eq!(cut(&argv, 6), ["make", "h"]);
        assert_eq!(cut(&argv, 0), [""]);
    }
}
