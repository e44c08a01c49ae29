//! Disks by their virtio serial, never by order.

use crate::failure::{Code, Failure, Outcome};
use crate::files::read_line;

/// The name of the block device (`vda`) with this serial. `failed_precondition` if there is none.
pub fn find_disk(serial: &str) -> Outcome<String> {
    let mut seen = Vec::new();
    for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("vd") {
            continue;
        }
        let found = read_line(&format!("/sys/block/{name}/serial"));
        if found == serial {
            return Ok(name);
        }
        seen.push(found);
    }
    let message = format!("no disk has the serial {serial:?}; there are {seen:?}");
    Err(Failure::new(Code::FailedPrecondition, message))
}
