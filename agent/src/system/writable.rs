//! The file system of the writable layer: its size, growth, freezing, and its end.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstatvfs, open};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Setter, ioctl};
use rustix::mount::{FsPickFlags, fsconfig_reconfigure, fsconfig_set_flag, fspick};

use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::system::disk_size::await_disk_size;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// All.
    pub total_bytes: u64,
    /// In use.
    pub used_bytes: u64,
}

/// The mounted writable layer. It keeps the file system's root open, because no path leads to it once the root is switched.
#[derive(Debug)]
pub struct Writable {
    root: OwnedFd,
    /// Block device name; none for a tmpfs.
    device: Option<String>,
}

impl Writable {
    /// Takes the layer mounted on `path`, of block device `device`.
    pub fn open(path: &str, device: Option<String>) -> Outcome<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = open(path, flags, Mode::empty()).or_fail(Code::Internal, "opening the writable layer")?;
        Ok(Writable { root, device })
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        let Ok(stat) = fstatvfs(&self.root) else {
            return Usage::default();
        };
        Usage { total_bytes: stat.f_blocks * stat.f_frsize, used_bytes: (stat.f_blocks - stat.f_bfree) * stat.f_frsize }
    }

    /// Grows an ext4 to the size of its disk, once that is `disk_bytes` or more. Nothing to do is success.
    pub fn grow(&self, disk_bytes: u64) -> Outcome<Usage> {
        const EXT4_IOC_RESIZE_FS: u32 = 0x4008_6610;
        let Some(device) = &self.device else {
            let message = "the writable layer is in memory and has no disk to grow to";
            return Err(Failure::new(Code::FailedPrecondition, message));
        };
        let bytes = await_disk_size(device, disk_bytes)?;
        let stat = fstatvfs(&self.root).or_fail(Code::Internal, "looking at the writable layer")?;
        let blocks: u64 = bytes / stat.f_bsize;
        // SAFETY: EXT4_IOC_RESIZE_FS reads a u64; other file systems refuse it.
        unsafe { ioctl(&self.root, Setter::<EXT4_IOC_RESIZE_FS, u64>::new(blocks)) }
            .or_fail(Code::FailedPrecondition, "growing the writable layer")?;
        Ok(self.usage())
    }

    /// Stops writes, or allows them again. A tmpfs has nothing to freeze.
    pub fn set_frozen(&self, frozen: bool) -> Outcome<()> {
        match self.device {
            Some(_) => set_frozen(&self.root, frozen),
            None => Ok(()),
        }
    }

    /// Brings everything to disk for good: read-only, or where something still writes, frozen.
    pub fn settle(&self) -> Outcome<()> {
        if self.device.is_none() {
            return Ok(());
        }
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        let read_only = fspick(&self.root, "", flags).and_then(|context| {
            fsconfig_set_flag(&context, "ro")?;
            fsconfig_reconfigure(&context)
        });
        match read_only {
            Ok(()) => Ok(()),
            Err(_) => self.set_frozen(true),
        }
    }
}

/// Stops writes to the file system that `root` is on, after the kernel has brought all of it to disk, or allows them again. Frozen, or
/// not frozen, already is success.
pub fn set_frozen(root: impl AsFd, frozen: bool) -> Outcome<()> {
    const FIFREEZE: u32 = 0xc004_5877;
    const FITHAW: u32 = 0xc004_5878;
    // SAFETY: both take an integer that the kernel ignores.
    let result = unsafe {
        match frozen {
            true => ioctl(&root, IntegerSetter::<FIFREEZE>::new_usize(0)),
            false => ioctl(&root, IntegerSetter::<FITHAW>::new_usize(0)),
        }
    };
    match (result, frozen) {
        (Ok(()), _) | (Err(Errno::BUSY), true) | (Err(Errno::INVAL), false) => Ok(()),
        (Err(errno), _) => Err(errno).or_fail(Code::FailedPrecondition, "freezing or thawing"),
    }
}
