//! `tar-in`: an archive that comes in pieces becomes files below a directory.

use rustix::fs::{AtFlags, Mode, linkat, makedev, mknodat, renameat, symlinkat, unlinkat};
use rustix::io::Errno;
use rustix::process::umask;
use serde_json::{Value, json};

use super::attributes::Rules;
use super::file_in::{Fault, FileIn};
use super::member::{Kind, Member};
use super::parser::{Members, Parser, damaged};
use super::place::{Place, components};
use crate::failure::{Failure, Outcome};
use crate::requests::TarInRequest;

/// An archive under way. Dropped before `finish`, it leaves the members that are complete.
#[derive(Debug)]
pub struct TreeIn {
    parser: Parser,
    unpacker: Unpacker,
}

#[derive(Debug)]
struct Unpacker {
    place: Place,
    rules: Rules,
    temporary: String,
    file: Option<Unfinished>,
    entries: u64,
    bytes: u64,
    skipped: u64,
}

/// The file under way.
#[derive(Debug)]
struct Unfinished {
    member: Member,
    file: FileIn,
    /// It has its own name already, and not the temporary one.
    in_place: bool,
}

impl TreeIn {
    /// Opens the destination. `serial` is unique in this agent.
    pub fn begin(request: &TarInRequest, serial: u64) -> Outcome<Self> {
        let owner = (!request.keep_owners).then_some((request.uid, request.gid));
        let rules = Rules { owner, special: request.special };
        let place = Place::open(&request.path, rules)?;
        let temporary = format!(".banger-cp-{}-{serial}", std::process::id());
        let unpacker = Unpacker { place, rules, temporary, file: None, entries: 0, bytes: 0, skipped: 0 };
        Ok(TreeIn { parser: Parser::default(), unpacker })
    }

    /// Takes more of the archive.
    pub fn receive(&mut self, bytes: &[u8]) -> Outcome<()> {
        // Files are made with the permissions that they will have.
        let before = umask(Mode::empty());
        let result = self.parser.feed(bytes, &mut self.unpacker);
        umask(before);
        result
    }

    /// The archive has ended: the last directories get their permissions and times. Returns what was done.
    pub fn finish(mut self) -> Outcome<Value> {
        self.parser.finish()?;
        self.unpacker.place.finish()?;
        let Unpacker { entries, bytes, skipped, .. } = self.unpacker;
        Ok(json!({"entries": entries, "bytes": bytes, "skipped": skipped}))
    }
}

impl Members for Unpacker {
    fn begin(&mut self, member: Member) -> Outcome<()> {
        let name = member.name.clone();
        let parts = components(&name)?;
        let device = matches!(member.kind, Kind::Character | Kind::Block);
        if device && !self.rules.special {
            self.skipped += 1;
            return Ok(());
        }
        let linked = member.kind == Kind::HardLink;
        self.entries += 1;
        match member.kind {
            Kind::Directory => return self.place.make_directory(&parts, member),
            Kind::File => {
                self.file = Some(self.create(&parts, member)?);
                return Ok(());
            }
            Kind::HardLink => self.link(&member)?,
            Kind::Symlink | Kind::Fifo | Kind::Character | Kind::Block => self.make(&parts, &member)?,
        }
        self.put_in_place(&parts, linked)
    }

    fn content(&mut self, bytes: &[u8]) -> Outcome<()> {
        let Some(Unfinished { member, file, .. }) = &mut self.file else {
            return Ok(());
        };
        self.bytes += bytes.len() as u64;
        if let Err(fault) = file.write(bytes) {
            return Err(explain(&self.place, &member.name, fault));
        }
        Ok(())
    }

    fn end(&mut self) -> Outcome<()> {
        let Some(Unfinished { member, file, in_place }) = &mut self.file else {
            return Ok(());
        };
        let applied = file.complete().and_then(|file| {
            let applied =
                if *in_place { self.rules.apply_to_made(file, member) } else { self.rules.apply(file, member) };
            applied.map_err(Fault::Errno)
        });
        if let Err(fault) = applied {
            return Err(explain(&self.place, &member.name, fault));
        }
        if !*in_place {
            let name = member.name.clone();
            self.put_in_place(&components(&name)?, false)?;
        }
        self.file = None;
        Ok(())
    }
}

impl Unpacker {
    /// Makes an empty file: with its own name where nobody sees it before it is whole, else with the temporary one.
    fn create(&mut self, parts: &[&[u8]], member: Member) -> Outcome<Unfinished> {
        self.place.enter(parts)?;
        let fresh = self.place.is_fresh();
        let (directory, name) = self.place.enter(parts)?;
        let mode = self.rules.mode_of(&member);
        let made = match fresh {
            true => FileIn::create_in_place(directory, name, (&member, mode)).map(|file| (file, true)),
            false => Err(Errno::EXIST),
        };
        let made = match made {
            Err(Errno::EXIST) => FileIn::create(directory, &self.temporary, &member).map(|file| (file, false)),
            other => other,
        };
        let (file, in_place) = made.map_err(|errno| self.place.refuse(parts, errno))?;
        Ok(Unfinished { member, file, in_place })
    }

    /// Makes what has no content, under the temporary name.
    fn make(&mut self, parts: &[&[u8]], member: &Member) -> Outcome<()> {
        let (temporary, rules) = (self.temporary.clone(), self.rules);
        let (directory, _) = self.place.enter(parts)?;
        let made = again(
            || {
                match member.kind {
                    Kind::Symlink => symlinkat(&member.link[..], directory, temporary.as_str())?,
                    kind => {
                        let device = makedev(member.device.0, member.device.1);
                        // With its permissions from the start: chmod(2) would follow a link that somebody has put there meanwhile.
                        let mode = Mode::from(rules.mode_of(member));
                        mknodat(directory, temporary.as_str(), kind.file_type(), mode, device)?;
                    }
                }
                rules.apply_at(directory, temporary.as_bytes(), member)
            },
            || unlinkat(directory, temporary.as_str(), AtFlags::empty()),
        );
        made.map_err(|errno| self.place.refuse(parts, errno))
    }

    /// Makes another name of an earlier member, under the temporary name.
    fn link(&mut self, member: &Member) -> Outcome<()> {
        let target = components(&member.link)?;
        let (directory, name) = self.place.find(&target)?;
        let temporary = self.temporary.clone();
        let (new_directory, _) = self.place.enter(&components(&member.name)?)?;
        let made = again(
            || linkat(&directory, name, new_directory, temporary.as_str(), AtFlags::empty()),
            || unlinkat(new_directory, temporary.as_str(), AtFlags::empty()),
        );
        made.map_err(|errno| self.place.refuse(&target, errno))
    }

    fn put_in_place(&mut self, parts: &[&[u8]], linked: bool) -> Outcome<()> {
        let temporary = self.temporary.clone();
        let (directory, name) = self.place.enter(parts)?;
        let placed = renameat(directory, temporary.as_str(), directory, name);
        // rename(2) does nothing where both are names of one file, and a failed one leaves the temporary name.
        if placed.is_err() || linked {
            match unlinkat(directory, temporary.as_str(), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.place.refuse(parts, errno)),
            }
        }
        placed.map_err(|errno| self.place.refuse(parts, errno))
    }
}

impl Drop for Unpacker {
    fn drop(&mut self) {
        let Some(Unfinished { member, in_place, .. }) = &self.file else {
            return;
        };
        let parts = components(&member.name);
        if let Ok((directory, name)) = parts.and_then(|parts| self.place.enter(&parts)) {
            let name = if *in_place { name } else { self.temporary.as_bytes() };
            // Somebody in the guest may have removed it.
            let _ = unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// Calls `make`; when the temporary name is taken, by an agent that was cut off, once more after `clear`.
fn again(make: impl Fn() -> Result<(), Errno>, clear: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match make() {
        Err(Errno::EXIST) => {
            clear()?;
            make()
        }
        other => other,
    }
}

fn explain(place: &Place, name: &[u8], fault: Fault) -> Failure {
    match fault {
        Fault::Errno(errno) => place.refuse(&[name], errno),
        Fault::Archive(why) => damaged(&format!("{}: {why}", String::from_utf8_lossy(name).escape_debug())),
    }
}
