//! Freeing the memory of the initramfs once nothing in it is needed (as switch_root(8) does).

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fstat, openat, statat, unlinkat};
use rustix::io;

/// How deep directories may be nested.
const MAX_DEPTH: u32 = 16;

/// Deletes everything below `/` that is on the same file system as `/`, so nothing that is mounted.
pub fn clear_initramfs() -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty())?;
    let device = fstat(&root)?.st_dev;
    clear(&Dir::new(root)?, device, MAX_DEPTH)
}

fn clear(dir: &Dir, device: u64, depth: u32) -> io::Result<()> {
    let parent = dir.fd()?;
    for entry in Dir::read_from(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let status = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if status.st_dev != device {
            continue;
        }
        if entry.file_type().is_dir() {
            if depth > 0 {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
                let child = openat(parent, name, flags, Mode::empty())?;
                clear(&Dir::new(child)?, device, depth - 1)?;
            }
            // It stays if it holds a mount point.
            let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
        } else {
            unlinkat(parent, name, AtFlags::empty())?;
        }
    }
    Ok(())
}
