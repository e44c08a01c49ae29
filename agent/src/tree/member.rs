//! One member of a tar archive: its header blocks, both ways.

use rustix::fs::FileType;

use super::BLOCK;
use super::numbers::{get_decimal, get_number, put_octal};
use super::records::append_record;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A member without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes of the path, `/` between components.
    pub name: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions, at most 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content in the archive.
    pub size: u64,
    /// Modification: seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The size of a sparse file, whose content begins with its map.
    pub sparse: Option<u64>,
}

/// Type flags of the headers that are no members themselves.
pub const PAX: u8 = b'x';
/// Records for all members that follow.
pub const PAX_GLOBAL: u8 = b'g';
/// GNU: the content is the next member's name.
pub const LONG_NAME: u8 = b'L';
/// GNU: the content is the next member's link target.
pub const LONG_LINK: u8 = b'K';

const MAGIC: &[u8; 8] = b"ustar\x0000";
/// banger's own: nanoseconds in the padding of the header, which nobody else reads; a pax header for them would double what
/// a small file takes.
const NANOSECONDS: &[u8; 3] = b"bng";

impl Kind {
    fn flag(self) -> u8 {
        match self {
            Kind::File => b'0',
            Kind::HardLink => b'1',
            Kind::Symlink => b'2',
            Kind::Character => b'3',
            Kind::Block => b'4',
            Kind::Directory => b'5',
            Kind::Fifo => b'6',
        }
    }

    /// What it is in a file system.
    pub fn file_type(self) -> FileType {
        match self {
            Kind::File | Kind::HardLink => FileType::RegularFile,
            Kind::Symlink => FileType::Symlink,
            Kind::Character => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            Kind::Directory => FileType::Directory,
            Kind::Fifo => FileType::Fifo,
        }
    }

    /// What this type flag stands for.
    pub fn from_flag(flag: u8) -> Option<Self> {
        Some(match flag {
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Character,
            b'4' => Kind::Block,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => return None,
        })
    }
}

impl Member {
    /// A member with nothing but name, kind and size.
    pub fn new(name: Vec<u8>, kind: Kind, size: u64) -> Self {
        let (link, xattrs) = (Vec::new(), Vec::new());
        Member { name, link, kind, mode: 0, uid: 0, gid: 0, size, mtime: (0, 0), device: (0, 0), xattrs, sparse: None }
    }

    /// Appends the header, after a pax header with what does not fit it.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let mut records = Vec::new();
        let mut header = [0u8; BLOCK];
        let name = match self.sparse {
            Some(size) => {
                append_record(&mut records, b"GNU.sparse.major", b"1");
                append_record(&mut records, b"GNU.sparse.minor", b"0");
                append_record(&mut records, b"GNU.sparse.name", &self.name);
                append_record(&mut records, b"GNU.sparse.realsize", size.to_string().as_bytes());
                &b"GNUSparseFile.0/file"[..]
            }
            None => &self.name,
        };
        put_text(&mut header[..100], name, b"path", &mut records);
        put_text(&mut header[157..257], &self.link, b"linkpath", &mut records);
        put_octal(&mut header[100..108], u64::from(self.mode));
        for (range, value, key) in [
            (108..116, u64::from(self.uid), &b"uid"[..]),
            (116..124, u64::from(self.gid), b"gid"),
            (124..136, self.size, b"size"),
        ] {
            if !put_octal(&mut header[range], value) {
                append_record(&mut records, key, value.to_string().as_bytes());
            }
        }
        let (seconds, nanoseconds) = self.mtime;
        match u64::try_from(seconds).is_ok_and(|seconds| put_octal(&mut header[136..148], seconds)) {
            true => {
                header[500..503].copy_from_slice(NANOSECONDS);
                // A file system on a disk that somebody has tampered with may say more.
                let nanoseconds = nanoseconds.min(999_999_999);
                header[503..].copy_from_slice(format!("{nanoseconds:09}").as_bytes());
            }
            false => append_record(&mut records, b"mtime", seconds.to_string().as_bytes()),
        }
        put_octal(&mut header[329..337], u64::from(self.device.0));
        put_octal(&mut header[337..345], u64::from(self.device.1));
        for (key, value) in &self.xattrs {
            append_record(&mut records, &[b"SCHILY.xattr.", &key[..]].concat(), value);
        }
        if !records.is_empty() {
            let mut pax = [0u8; BLOCK];
            pax[..9].copy_from_slice(b"PaxHeader");
            put_octal(&mut pax[100..108], 0o600);
            put_octal(&mut pax[124..136], records.len() as u64);
            seal(&mut pax, PAX);
            out.extend_from_slice(&pax);
            let padding = super::padding(records.len() as u64);
            out.append(&mut records);
            out.resize(out.len() + padding, 0);
        }
        seal(&mut header, self.kind.flag());
        out.extend_from_slice(&header);
    }

    /// Reads a header block: the member that it alone describes, and its type flag. `None` when it is none.
    pub fn parse(header: &[u8; BLOCK]) -> Option<(Self, u8)> {
        let sum = get_number(&header[148..156])?;
        if sum != checksum(header) {
            return None;
        }
        let flag = header[156];
        let mut name = text(&header[..100]).to_vec();
        // GNU uses the place of the prefix for other things.
        if header[257..265] == *MAGIC && header[345] != 0 {
            name = [text(&header[345..500]), b"/", &name].concat();
        }
        let mut member = Member::new(name, Kind::from_flag(flag).unwrap_or(Kind::File), get_number(&header[124..136])?);
        member.link = text(&header[157..257]).to_vec();
        member.mode = (get_number(&header[100..108])? & 0o7777) as u32;
        member.uid = u32::try_from(get_number(&header[108..116])?).ok()?;
        member.gid = u32::try_from(get_number(&header[116..124])?).ok()?;
        // A time before 1970 is not worth losing the member.
        member.mtime.0 = get_number(&header[136..148]).unwrap_or(0) as i64;
        if header[500..503] == *NANOSECONDS {
            member.mtime.1 = get_decimal(&header[503..512]).unwrap_or(0) as u32;
        }
        let number =
            |range: std::ops::Range<usize>| u32::try_from(get_number(&header[range]).unwrap_or(0)).unwrap_or(0);
        member.device = (number(329..337), number(337..345));
        Some((member, flag))
    }

    /// Obeys a pax record; false when its value makes no sense.
    pub fn obey(&mut self, key: &[u8], value: &[u8]) -> bool {
        let number = || get_decimal(value);
        let id = || number().and_then(|id| u32::try_from(id).ok());
        match key {
            b"path" if self.sparse.is_none() => self.name = value.to_vec(),
            b"GNU.sparse.name" => self.name = value.to_vec(),
            b"linkpath" => self.link = value.to_vec(),
            b"size" => return number().map(|size| self.size = size).is_some(),
            b"uid" => return id().map(|id| self.uid = id).is_some(),
            b"gid" => return id().map(|id| self.gid = id).is_some(),
            b"GNU.sparse.realsize" => return number().map(|size| self.sparse = Some(size)).is_some(),
            b"mtime" => return parse_time(value).map(|time| self.mtime = time).is_some(),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        true
    }
}

fn parse_time(value: &[u8]) -> Option<(i64, u32)> {
    let text = str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match whole.starts_with('-') && nanoseconds > 0 {
        true => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        false => Some((seconds, nanoseconds)),
    }
}

fn put_text(field: &mut [u8], text: &[u8], key: &[u8], records: &mut Vec<u8>) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    if text.len() > field.len() {
        append_record(records, key, text);
    }
}

fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

fn seal(header: &mut [u8; BLOCK], flag: u8) {
    header[156] = flag;
    header[257..265].copy_from_slice(MAGIC);
    let sum = checksum(header);
    put_octal(&mut header[148..155], sum);
    header[155] = b' ';
}

/// The sum of all bytes, the field of the sum itself taken as blanks.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let all: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = header[148..156].iter().map(|&byte| u64::from(byte)).sum();
    all - own + 8 * u64::from(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_that_are_more_than_a_second_fit_the_header_all_the_same() {
        let mut member = Member::new(b"f".to_vec(), Kind::File, 0);
        member.mtime = (7, 1_073_741_823);
        let mut bytes = Vec::new();
        member.append_to(&mut bytes);
        let header: &[u8; BLOCK] = bytes[..].try_into().expect("one block");
        assert_eq!(Member::parse(header).expect("a header").0.mtime, (7, 999_999_999));
    }
}
