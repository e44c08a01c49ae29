//! `remove`, `rename`: files below a directory go, and a tree that is whole gets its name.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, open, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::failure::{Code, Failure, Outcome};
use crate::requests::{NamesRequest, RenameRequest};
use crate::upload::failure;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The guest's time: no file that was changed before has a later change time.
pub fn file_time() -> Value {
    let now = clock_gettime(ClockId::Realtime);
    json!({"seconds": now.tv_sec, "nanoseconds": now.tv_nsec})
}

/// Removes files and empty directories. No link on the way is followed; what is not there, or not empty, stays so. Returns how
/// many went, and the guest's time.
pub fn remove(request: &NamesRequest) -> Outcome<Value> {
    let path = request.path.as_str();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(path, flags, Mode::empty()).map_err(|errno| failure("removing below", path, errno))?;
    let mut removed = 0u64;
    for name in request.list()? {
        let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
        let gone = openat(&root, ".", DIRECTORY, Mode::empty()).and_then(|start| {
            let (last, parents) = parts.split_last().ok_or(Errno::INVAL)?;
            let directory = parents
                .iter()
                .try_fold(start, |directory, part| openat(&directory, *part, DIRECTORY, Mode::empty()))?;
            match unlinkat(&directory, *last, AtFlags::empty()) {
                Err(Errno::ISDIR) => unlinkat(&directory, *last, AtFlags::REMOVEDIR),
                other => other,
            }
        });
        match gone {
            Ok(()) => removed += 1,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NOTEMPTY) => {}
            Err(errno) => {
                let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
                return Err(failure("removing", &format!("{path}/{shown}"), errno));
            }
        }
    }
    let mut answer = file_time();
    answer["removed"] = removed.into();
    Ok(answer)
}

/// Gives a path a name that nothing has. Returns the guest's time, on the clock that files get theirs from.
pub fn rename(request: &RenameRequest) -> Outcome<Value> {
    let RenameRequest { from, to } = request;
    match renameat_with(CWD, from.as_str(), CWD, to.as_str(), RenameFlags::NOREPLACE) {
        Ok(()) => Ok(file_time()),
        Err(Errno::EXIST) => Err(Failure::new(Code::FailedPrecondition, format!("{to} is there already"))),
        Err(errno) => Err(failure("renaming", &format!("{from} to {to}"), errno)),
    }
}
