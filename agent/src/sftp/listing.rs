//! Directories as a client sees them: names with their attributes, and the line of `ls -l` that belongs to each.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};

use super::attributes;
use super::reply::{Refusal, Reply};
use crate::files::read_small;

/// Entries of one answer.
const MAX_ENTRIES: u32 = 128;
const NAME: u8 = 104;
/// Bytes of a user database that are looked at.
const MAX_DATABASE: usize = 1024 * 1024;
/// Older files are shown with their year.
const HALF_A_YEAR: i64 = 182 * 86_400;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Names of users and groups, by the image's databases as they are when first asked.
#[derive(Debug, Default)]
pub struct Names {
    loaded: Option<[BTreeMap<u32, String>; 2]>,
}

/// The next entries of a directory. Errors: the end of it.
pub fn read_entries(directory: &mut Dir, names: &mut Names) -> Result<Listing, Refusal> {
    let mut listing = Listing { count: 0, bytes: Vec::new() };
    while listing.count < MAX_ENTRIES {
        let Some(entry) = directory.next() else { break };
        let entry = entry?;
        let name = entry.file_name();
        // It may have gone meanwhile; then it is in this directory no more.
        let Ok(status) = statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        listing.push(name.to_bytes(), &long_name(name.to_bytes(), &status, names), &status);
    }
    if listing.count == 0 { Err(Refusal::end()) } else { Ok(listing) }
}

/// Entries of an answer of kind NAME.
#[derive(Debug)]
pub struct Listing {
    count: u32,
    bytes: Vec<u8>,
}

impl Listing {
    fn push(&mut self, name: &[u8], long: &[u8], status: &Stat) {
        self.count += 1;
        // A packet of its own, of which the length and the kind are taken away again.
        let mut packet = Vec::new();
        attributes::write(Reply::begin(&mut packet, NAME).string(name).string(long), status);
        self.bytes.extend_from_slice(&packet[5..]);
    }

    /// The whole answer.
    pub fn write(&self, buffer: &mut Vec<u8>, id: u32) {
        Reply::begin(buffer, NAME).u32(id).u32(self.count).bytes(&self.bytes);
    }
}

/// An answer with one path, and nothing about it.
pub fn write_path(buffer: &mut Vec<u8>, id: u32, path: &[u8]) {
    Reply::begin(buffer, NAME).u32(id).u32(1).string(path).string(path).u32(0);
}

fn long_name(name: &[u8], status: &Stat, names: &mut Names) -> Vec<u8> {
    let [user, group] = names.of(status.st_uid, status.st_gid);
    let line = format!(
        "{} {:3} {user:<8} {group:<8} {:8} {} ",
        permissions(status.st_mode),
        status.st_nlink,
        status.st_size,
        date(status.st_mtime, now()),
    );
    [line.as_bytes(), name].concat()
}

impl Names {
    fn of(&mut self, uid: u32, gid: u32) -> [String; 2] {
        let [users, groups] = self.loaded.get_or_insert_with(|| ["/etc/passwd", "/etc/group"].map(load));
        [(users, uid), (groups, gid)].map(|(names, id)| names.get(&id).cloned().unwrap_or_else(|| id.to_string()))
    }
}

/// passwd(5) and group(5) both have the name first and the number third.
fn load(path: &str) -> BTreeMap<u32, String> {
    let text = read_small(path, MAX_DATABASE).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_string();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first entry of a number is its name.
    text.lines().rev().filter_map(entry).collect()
}

fn permissions(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        _ => '-',
    };
    let mut text: Vec<char> = std::iter::once(kind)
        .chain((0..9).map(|bit| match mode >> (8 - bit) & 1 {
            0 => '-',
            _ => ['r', 'w', 'x'][bit % 3],
        }))
        .collect();
    for (bit, at, letter) in [(0o4000, 3, 's'), (0o2000, 6, 's'), (0o1000, 9, 't')] {
        if mode & bit != 0 {
            text[at] = if text[at] == 'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    text.into_iter().collect()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

/// As `ls -l` in UTC. Days to a date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn date(seconds: i64, now: i64) -> String {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let name = MONTHS[(month - 1) as usize];
    match (0..HALF_A_YEAR).contains(&(now - seconds)) {
        true => format!("{name} {day:2} {:02}:{:02}", time / 3600, time / 60 % 60),
        false => format!("{name} {day:2}  {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_of_ls() {
        assert_eq!(permissions(0o100644), "-rw-r--r--");
        assert_eq!(permissions(0o041777), "drwxrwxrwt");
        assert_eq!(permissions(0o106754), "-rwsr-sr--");
        assert_eq!(permissions(0o101000), "---------T");
    }

    #[test]
    fn date_is_that_of_ls() {
        let now = 1_790_000_000;
        assert_eq!(date(0, now), "Jan  1  1970");
        assert_eq!(date(951_782_400, now), "Feb 29  2000");
        assert_eq!(date(now - 60, now), "Sep 21 14:12");
        assert_eq!(date(now + 86_400, now), "Sep 22  2026");
        assert_eq!(date(-86_400, now), "Dec 31  1969");
    }
}
