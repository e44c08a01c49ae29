//! Disks by their virtio serial, never by order.

use crate::failure::{Code, Failure, Outcome};
use crate::files::read_line;

const OPTION: &str = "banger.disk=";

/// The name of the block device (`vda`) of the disk with this id, which is its serial. Where the hypervisor chooses the serials,
/// the kernel command line tells them, as `banger.disk=ID:SERIAL`. `failed_precondition` if there is no such disk.
pub fn find_disk(id: &str) -> Outcome<String> {
    find_serial(serial_of(id, &read_line("/proc/cmdline")))
}

fn serial_of<'a>(id: &'a str, cmdline: &'a str) -> &'a str {
    let named = cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix(OPTION)?.split_once(':'));
    named.filter(|(name, _)| *name == id).map(|(_, serial)| serial).next().unwrap_or(id)
}

fn find_serial(serial: &str) -> Outcome<String> {
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

#[cfg(test)]
mod tests {
    use super::serial_of;

    #[test]
    fn a_disk_has_its_id_for_a_serial() {
        assert_eq!(serial_of("rootfs", "console=ttyS0 quiet"), "rootfs");
    }

    #[test]
    fn the_command_line_may_name_another_serial() {
        let cmdline = "quiet banger.disk=rootfs:66306012 banger.disk=disk:66306013 x";
        assert_eq!(serial_of("rootfs", cmdline), "66306012");
        assert_eq!(serial_of("disk", cmdline), "66306013");
        assert_eq!(serial_of("volume", cmdline), "volume");
    }
}
