//! The root that commands see: a read-only image and a writable layer as an overlay, with the kernel's file systems in it.

use rustix::fs::{AtFlags, CWD, FileType, Mode, mkdirat, statat, symlinkat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_move, unmount};
use rustix::process::{chdir, chroot};

use super::find_disk;
use super::initramfs::clear_initramfs;
use super::writable::Writable;
use crate::console;
use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::{Disk, Volume};

const LOWER: &str = "/lower";
/// Where the writable layer is mounted until the root is switched.
pub const WRITABLE: &str = "/writable";
const ROOT: &str = "/newroot";

/// Mounts the read-only image.
pub fn mount_image(disk: &Disk) -> Outcome<()> {
    make_directory(LOWER, 0o755)?;
    mount_disk(disk, LOWER, MountFlags::RDONLY, "").map(drop)
}

/// Mounts the writable layer, a tmpfs without a disk. Returns the name of its block device.
pub fn mount_writable(disk: Option<&Disk>) -> Outcome<Option<String>> {
    make_directory(WRITABLE, 0o755)?;
    let device = match disk {
        // Inode tables are initialised as they come into use rather than by a thread that makes a sparse disk grow.
        Some(disk) => {
            let data = if disk.kind == "ext4" { "noinit_itable" } else { "" };
            Some(mount_disk(disk, WRITABLE, MountFlags::NOATIME, data)?)
        }
        None => {
            mount_pseudo("tmpfs", WRITABLE, MountFlags::empty(), "mode=0755")?;
            None
        }
    };
    make_directory("/writable/upper", 0o755)?;
    make_directory("/writable/work", 0o755)?;
    Ok(device)
}

/// Mounts the overlay of both.
pub fn mount_overlay() -> Outcome<()> {
    make_directory(ROOT, 0o755)?;
    // redirect_dir: renaming a directory of the image works as on a plain file system.
    let data = "lowerdir=/lower,upperdir=/writable/upper,workdir=/writable/work,redirect_dir=on";
    mount_pseudo("overlay", ROOT, MountFlags::empty(), data)
}

/// Lets go of what the three steps before have mounted, after one of them failed.
pub fn unmount_all() {
    for target in [ROOT, WRITABLE, LOWER] {
        // Not all of them need to be mounted.
        let _ = unmount(target, UnmountFlags::DETACH);
    }
}

/// Makes the overlay the root of this process and so of all that it starts, and frees the initramfs.
pub fn switch_root() -> Outcome<()> {
    for name in ["dev", "proc", "sys", "run"] {
        replace_by_directory(&format!("{ROOT}/{name}"))?;
    }
    let tmp = format!("{ROOT}/tmp");
    if statat(CWD, tmp.as_str(), AtFlags::SYMLINK_NOFOLLOW).err() == Some(Errno::NOENT) {
        make_directory(&tmp, 0o1777)?;
    }
    for name in ["dev", "proc", "sys"] {
        let (from, to) = (format!("/{name}"), format!("{ROOT}/{name}"));
        mount_move(from.as_str(), to.as_str()).or_fail(Code::Internal, format!("moving {from}"))?;
    }
    clear_initramfs().or_fail(Code::Internal, "freeing the initramfs")?;
    chdir(ROOT).or_fail(Code::Internal, "entering the new root")?;
    mount_move(".", "/").or_fail(Code::Internal, "moving the root")?;
    chroot(".").or_fail(Code::Internal, "changing the root")?;
    chdir("/").or_fail(Code::Internal, "entering the root")
}

/// Mounts the kernel's other file systems in the switched root.
pub fn mount_system() -> Outcome<()> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    make_directory("/dev/pts", 0o755)?;
    let pts = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_pseudo("devpts", "/dev/pts", pts, "gid=5,mode=620,ptmxmode=666")?;
    make_directory("/dev/shm", 0o1777)?;
    mount_pseudo("tmpfs", "/dev/shm", plain, "mode=1777")?;
    mount_pseudo("tmpfs", "/run", plain, "mode=0755")?;
    let nothing = plain | MountFlags::NOEXEC;
    mount_pseudo("cgroup2", "/sys/fs/cgroup", nothing, "nsdelegate")?;
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        // A kernel that makes them itself is as good.
        let _ = symlinkat(target, CWD, link);
    }
    Ok(())
}

/// Makes directories in the switched root, with all above them, where they are missing. One that cannot be made is reported: whoever needs it
/// will say more.
pub fn make_directories(paths: &[String]) {
    for path in paths {
        if let Err(failure) = make_path(path) {
            console::say(&failure.message);
        }
    }
}

fn make_path(target: &str) -> Outcome<()> {
    let mut path = String::new();
    for part in target.split('/').filter(|part| !part.is_empty()) {
        path = format!("{path}/{part}");
        make_directory(&path, 0o755)?;
    }
    Ok(())
}

/// Mounts a volume in the switched root, making its mount point.
pub fn mount_volume(volume: &Volume) -> Outcome<()> {
    make_path(&volume.target)?;
    let disk = Disk { disk: volume.disk.clone(), kind: volume.kind.clone() };
    let ext4 = disk.kind == "ext4";
    let (flags, data) = match volume.read_only {
        // The journal of one that was not unmounted cannot be replayed on a disk that takes no writes.
        true => (MountFlags::RDONLY, if ext4 { "noload" } else { "" }),
        false => (MountFlags::NOATIME, if ext4 { "noinit_itable" } else { "" }),
    };
    let device = mount_disk(&disk, &volume.target, flags, data)?;
    if ext4 && !volume.read_only {
        // It may have become larger since it was last used.
        Writable::open(&volume.target, Some(device))?.grow(0)?;
    }
    Ok(())
}

/// Returns the name of the block device.
fn mount_disk(disk: &Disk, target: &str, flags: MountFlags, data: &str) -> Outcome<String> {
    let device = find_disk(&disk.disk)?;
    let (path, data) = (format!("/dev/{device}"), c_string(data)?);
    mount(path.as_str(), target, disk.kind.as_str(), flags, data.as_c_str())
        .or_fail(Code::FailedPrecondition, format!("mounting disk {:?} as {}", disk.disk, disk.kind))?;
    Ok(device)
}

fn mount_pseudo(kind: &str, target: &str, flags: MountFlags, data: &str) -> Outcome<()> {
    let data = c_string(data)?;
    mount(kind, target, kind, flags, data.as_c_str())
        .or_fail(Code::FailedPrecondition, format!("mounting {kind} on {target}"))
}

fn c_string(text: &str) -> Outcome<std::ffi::CString> {
    std::ffi::CString::new(text).map_err(|_| Failure::new(Code::Internal, "NUL byte in mount options"))
}

fn make_directory(path: &str, mode: u32) -> Outcome<()> {
    match mkdirat(CWD, path, Mode::from(mode)) {
        Ok(()) if mode & 0o1000 != 0 => {
            // mkdir(2) takes the sticky bit but also the umask.
            rustix::fs::chmod(path, Mode::from(mode)).or_fail(Code::FailedPrecondition, path)
        }
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).or_fail(Code::FailedPrecondition, format!("making {path}")),
    }
}

/// Makes `path`, whose parent is trusted, a directory, whatever the image has put there.
fn replace_by_directory(path: &str) -> Outcome<()> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) if FileType::from_raw_mode(status.st_mode) == FileType::Directory => return Ok(()),
        Ok(_) => {
            unlinkat(CWD, path, AtFlags::empty()).or_fail(Code::FailedPrecondition, format!("replacing {path}"))?
        }
        Err(_) => {}
    }
    make_directory(path, 0o755)
}
