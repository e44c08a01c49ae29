//! One client: its requests, each answered by one packet.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, Stat, StatVfs, fstat, fstatvfs, fsync, linkat, mkdirat, openat, readlinkat,
    renameat, statat, statvfs, symlinkat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use super::MAX_PACKET;
use super::attributes::{self, Target, Wish};
use super::fields::Fields;
use super::handles::{Handle, Handles, MAX_HANDLES};
use super::listing::{Names, read_entries, write_path};
use super::paths::{expand_path, real_path, rename};
use super::reply::{Refusal, Reply};

/// The version of the protocol that all clients speak.
const VERSION: u32 = 3;
/// Data of one READ or WRITE; around it there is room for the rest of a packet.
const MAX_DATA: usize = MAX_PACKET - 1024;
const EXTENSIONS: [(&[u8], &[u8]); 9] = [
    (b"posix-rename@openssh.com", b"1"),
    (b"statvfs@openssh.com", b"2"),
    (b"fstatvfs@openssh.com", b"2"),
    (b"hardlink@openssh.com", b"1"),
    (b"fsync@openssh.com", b"1"),
    (b"lsetstat@openssh.com", b"1"),
    (b"limits@openssh.com", b"1"),
    (b"expand-path@openssh.com", b"1"),
    (b"home-directory", b"1"),
];

/// What ends a session: there is no answer to it.
#[derive(Debug)]
pub struct Violation(pub &'static str);

/// What one client has done so far.
#[derive(Debug, Default)]
pub struct Session {
    greeted: bool,
    handles: Handles,
    names: Names,
}

impl Session {
    /// Acts on a packet without its length, and appends the answer.
    pub fn answer(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Violation> {
        let mut fields = Fields::new(packet);
        let (kind, number) = (fields.byte(), fields.u32());
        let (Ok(kind), Ok(number)) = (kind, number) else {
            return Err(Violation("a packet without a number"));
        };
        if !self.greeted {
            // The number is the client's version; the lower of the two holds, and there is none below.
            if kind != 1 || number < VERSION {
                return Err(Violation("no greeting of version 3"));
            }
            self.greeted = true;
            let hello = Reply::begin(out, 2).u32(VERSION);
            EXTENSIONS.iter().fold(hello, |hello, (name, version)| hello.string(name).string(version));
            return Ok(());
        }
        let start = out.len();
        if let Err(refusal) = self.act((kind, number), &mut fields, out) {
            out.truncate(start);
            Reply::status(out, number, Some(&refusal));
        } else if out.len() == start {
            Reply::status(out, number, None);
        }
        Ok(())
    }

    /// Appends what is not a STATUS of success.
    fn act(&mut self, (kind, id): (u8, u32), fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match kind {
            3 => {
                let handle = Handle::File(open(fields)?);
                Reply::begin(out, 102).u32(id).string(&self.handles.insert(handle)?);
            }
            4 => self.handles.close(fields.string()?)?,
            5 => {
                let (file, at) = (self.handles.file(fields.string()?)?, fields.u64()?);
                let most = (fields.u32()? as usize).min(MAX_DATA);
                Reply::begin(out, 103).u32(id).data(most, |room| {
                    match retry_on_intr(|| pread(file, &mut *room, at)) {
                        Ok(0) if most > 0 => Err(Refusal::end()),
                        result => Ok(result?),
                    }
                })?;
            }
            6 => {
                let (file, at) = (self.handles.file(fields.string()?)?, fields.u64()?);
                write_all(file, fields.string()?, at)?;
            }
            7 => write_attributes(out, id, &statat(CWD, fields.string()?, AtFlags::SYMLINK_NOFOLLOW)?),
            8 => write_attributes(out, id, &fstat(self.handles.file(fields.string()?)?)?),
            9 => {
                let path = fields.string()?;
                Wish::read(fields)?.apply(Target::Path(path))?;
            }
            10 => {
                let file = self.handles.file(fields.string()?)?;
                Wish::read(fields)?.apply(Target::Open(file.as_fd()))?;
            }
            11 => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let directory = Dir::new(openat(CWD, fields.string()?, flags, Mode::empty())?)?;
                Reply::begin(out, 102).u32(id).string(&self.handles.insert(Handle::Directory(directory))?);
            }
            12 => {
                let directory = self.handles.directory(fields.string()?)?;
                read_entries(directory, &mut self.names)?.write(out, id);
            }
            13 => unlinkat(CWD, fields.string()?, AtFlags::empty())?,
            14 => {
                let path = fields.string()?;
                let mode = Wish::read(fields)?.mode.unwrap_or(0o777);
                mkdirat(CWD, path, Mode::from_raw_mode(mode))?;
            }
            15 => unlinkat(CWD, fields.string()?, AtFlags::REMOVEDIR)?,
            16 => write_path(out, id, &real_path(fields.string()?)?),
            17 => write_attributes(out, id, &statat(CWD, fields.string()?, AtFlags::empty())?),
            18 => rename(fields.string()?, fields.string()?)?,
            19 => write_path(out, id, readlinkat(CWD, fields.string()?, Vec::new())?.as_bytes()),
            // The draft has it the other way round; every client does as OpenSSH does (PROTOCOL, section 4.1).
            20 => symlinkat(fields.string()?, CWD, fields.string()?)?,
            200 => self.extended(id, fields, out)?,
            _ => return Err(Refusal::unsupported()),
        }
        Ok(())
    }

    fn extended(&mut self, id: u32, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match fields.string()? {
            b"posix-rename@openssh.com" => renameat(CWD, fields.string()?, CWD, fields.string()?)?,
            b"statvfs@openssh.com" => write_usage(out, id, &statvfs(fields.string()?)?),
            b"fstatvfs@openssh.com" => write_usage(out, id, &fstatvfs(self.handles.file(fields.string()?)?)?),
            b"hardlink@openssh.com" => linkat(CWD, fields.string()?, CWD, fields.string()?, AtFlags::empty())?,
            b"fsync@openssh.com" => fsync(self.handles.file(fields.string()?)?)?,
            b"lsetstat@openssh.com" => {
                let path = fields.string()?;
                Wish::read(fields)?.apply(Target::Link(path))?;
            }
            b"limits@openssh.com" => {
                let sizes = [MAX_PACKET, MAX_DATA, MAX_DATA, MAX_HANDLES];
                sizes.iter().fold(Reply::begin(out, 201).u32(id), |reply, &size| reply.u64(size as u64));
            }
            b"expand-path@openssh.com" => write_path(out, id, &expand_path(fields.string()?)?),
            b"home-directory" => {
                let user = fields.string()?;
                write_path(out, id, &expand_path(&[b"~", user].concat())?);
            }
            _ => return Err(Refusal::unsupported()),
        }
        Ok(())
    }
}

/// OPEN. A pipe that nobody reads or writes is an error rather than a reason to wait.
fn open(fields: &mut Fields) -> Result<rustix::fd::OwnedFd, Refusal> {
    let (path, wanted, wish) = (fields.string()?, fields.u32()?, Wish::read(fields)?);
    let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    flags |= match (wanted & 1 != 0, wanted & 2 != 0) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    for (bit, flag) in [(4, OFlags::APPEND), (8, OFlags::CREATE), (16, OFlags::TRUNC), (32, OFlags::EXCL)] {
        flags.set(flag, wanted & bit != 0);
    }
    Ok(openat(CWD, path, flags, Mode::from_raw_mode(wish.mode.unwrap_or(0o666)))?)
}

fn write_all(file: &rustix::fd::OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Refusal> {
    while !bytes.is_empty() {
        let count = retry_on_intr(|| pwrite(file, bytes, at))?;
        if count == 0 {
            return Err(Errno::IO.into());
        }
        (bytes, at) = (&bytes[count..], at.saturating_add(count as u64));
    }
    Ok(())
}

fn write_attributes(out: &mut Vec<u8>, id: u32, status: &Stat) {
    attributes::write(Reply::begin(out, 105).u32(id), status);
}

fn write_usage(out: &mut Vec<u8>, id: u32, usage: &StatVfs) {
    let flags = u64::from(usage.f_flag.bits() & 1 != 0) | u64::from(usage.f_flag.bits() & 2 != 0) << 1;
    [
        usage.f_bsize,
        usage.f_frsize,
        usage.f_blocks,
        usage.f_bfree,
        usage.f_bavail,
        usage.f_files,
        usage.f_ffree,
        usage.f_favail,
        usage.f_fsid,
        flags,
        usage.f_namemax,
    ]
    .iter()
    .fold(Reply::begin(out, 201).u32(id), |reply, &figure| reply.u64(figure));
}
