//! A tar archive in pieces of any size, taken apart into members and their content.

use super::member::{Kind, LONG_LINK, LONG_NAME, Member, PAX, PAX_GLOBAL};
use super::records::next_record;
use super::{BLOCK, padding};
use crate::failure::{Code, Failure, Outcome};

/// Bytes of one extended header: a long name, or a few attributes.
const MAX_EXTENDED: u64 = 1024 * 1024;

/// Who gets what is in the archive.
pub trait Members {
    /// A member begins. Content follows, `member.size` bytes for a file and none for anything else, then `end`.
    fn begin(&mut self, member: Member) -> Outcome<()>;
    /// A piece of its content.
    fn content(&mut self, bytes: &[u8]) -> Outcome<()>;
    /// Its content is complete.
    fn end(&mut self) -> Outcome<()>;
}

/// The state between two pieces of the archive.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// The block or the extended header under way.
    gathered: Vec<u8>,
    /// What earlier headers say about the next member.
    records: Vec<u8>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Header,
    /// Content of a member that is left, and the padding behind it.
    Content(u64, usize),
    /// The same of an extended header with this type flag.
    Extended(u8, usize, usize),
    Padding(usize),
    /// The end mark was seen; what follows means nothing.
    Over,
}

impl Parser {
    /// Takes more of the archive. Not to be called again after an error.
    pub fn feed(&mut self, mut bytes: &[u8], members: &mut impl Members) -> Outcome<()> {
        while !bytes.is_empty() {
            self.state = match self.state {
                State::Header => {
                    self.gathered.extend_from_slice(take(&mut bytes, BLOCK - self.gathered.len()));
                    match <&[u8; BLOCK]>::try_from(&self.gathered[..]).copied() {
                        Err(_) => State::Header,
                        Ok(header) => {
                            self.gathered.clear();
                            self.header(&header, members)?
                        }
                    }
                }
                State::Content(left, pad) => {
                    let piece = take(&mut bytes, usize::try_from(left).unwrap_or(usize::MAX));
                    members.content(piece)?;
                    match left - piece.len() as u64 {
                        0 => {
                            members.end()?;
                            pad_state(pad)
                        }
                        left => State::Content(left, pad),
                    }
                }
                State::Extended(flag, left, pad) => {
                    let piece = take(&mut bytes, left);
                    self.gathered.extend_from_slice(piece);
                    match left - piece.len() {
                        0 => {
                            self.extend(flag);
                            pad_state(pad)
                        }
                        left => State::Extended(flag, left, pad),
                    }
                }
                State::Padding(left) => pad_state(left - take(&mut bytes, left).len()),
                State::Over => return Ok(()),
            };
        }
        Ok(())
    }

    /// The archive has ended. `invalid_argument` if it is cut off; an end mark may be missing.
    pub fn finish(&self) -> Outcome<()> {
        let between = matches!(self.state, State::Header) && self.gathered.is_empty() && !self.has_extensions();
        match between || matches!(self.state, State::Over) {
            true => Ok(()),
            false => Err(damaged("it is cut off")),
        }
    }

    fn has_extensions(&self) -> bool {
        !self.records.is_empty() || self.long_name.is_some() || self.long_link.is_some()
    }

    fn header(&mut self, header: &[u8; BLOCK], members: &mut impl Members) -> Outcome<State> {
        if header.iter().all(|&byte| byte == 0) {
            return Ok(State::Over);
        }
        let Some((member, flag)) = Member::parse(header) else {
            return Err(damaged("a header is malformed"));
        };
        let pad = padding(member.size);
        if matches!(flag, PAX | PAX_GLOBAL | LONG_NAME | LONG_LINK) {
            if member.size > MAX_EXTENDED {
                return Err(damaged("an extended header is too large"));
            }
            return Ok(match member.size {
                0 => State::Header,
                size => State::Extended(flag, size as usize, pad),
            });
        }
        if Kind::from_flag(flag).is_none() {
            let kind = char::from(flag).escape_default();
            let message = format!("the archive has a member of type {kind}, which is not supported");
            return Err(Failure::new(Code::Unsupported, message));
        }
        let mut member = self.complete(member)?;
        if member.kind != Kind::File {
            member.size = 0;
        }
        let (size, pad) = (member.size, padding(member.size));
        members.begin(member)?;
        if size > 0 {
            return Ok(State::Content(size, pad));
        }
        members.end()?;
        Ok(State::Header)
    }

    /// Adds to a member what the extended headers before it say.
    fn complete(&mut self, mut member: Member) -> Outcome<Member> {
        member.name = self.long_name.take().unwrap_or(member.name);
        member.link = self.long_link.take().unwrap_or(member.link);
        let records = std::mem::take(&mut self.records);
        let mut rest = &records[..];
        while !rest.is_empty() {
            let good = next_record(&mut rest).is_some_and(|(key, value)| member.obey(key, value));
            if !good {
                return Err(damaged("an extended header is malformed"));
            }
        }
        // Archives from before there was a type for directories; of a long name the header has only the beginning.
        if member.kind == Kind::File && member.name.ends_with(b"/") {
            member.kind = Kind::Directory;
        }
        Ok(member)
    }

    fn extend(&mut self, flag: u8) {
        let mut content = std::mem::take(&mut self.gathered);
        match flag {
            PAX => self.records = content,
            LONG_NAME | LONG_LINK => {
                content.truncate(content.iter().position(|&byte| byte == 0).unwrap_or(content.len()));
                let place = if flag == LONG_NAME { &mut self.long_name } else { &mut self.long_link };
                *place = Some(content);
            }
            // Defaults for the whole archive (times, a comment of git): nothing that is kept here.
            _ => {}
        }
    }
}

/// `invalid_argument`: the archive is none.
pub fn damaged(why: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("the archive is damaged or not a tar: {why}"))
}

fn pad_state(left: usize) -> State {
    if left == 0 { State::Header } else { State::Padding(left) }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (piece, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Seen(Vec<(Member, Vec<u8>)>);

    impl Members for Seen {
        fn begin(&mut self, member: Member) -> Outcome<()> {
            self.0.push((member, Vec::new()));
            Ok(())
        }
        fn content(&mut self, bytes: &[u8]) -> Outcome<()> {
            self.0.last_mut().expect("a member").1.extend_from_slice(bytes);
            Ok(())
        }
        fn end(&mut self) -> Outcome<()> {
            let (member, content) = self.0.last().expect("a member");
            assert_eq!(member.size, content.len() as u64);
            Ok(())
        }
    }

    fn sample() -> (Vec<u8>, Seen) {
        let mut long = Member::new(vec![0xff; 300], Kind::File, 700);
        long.mtime = (-5, 0);
        long.uid = 3_000_000;
        long.xattrs = vec![(b"user.a".to_vec(), b"=\n\0".to_vec())];
        let mut link = Member::new(b"l\n".to_vec(), Kind::Symlink, 0);
        link.link = vec![b'x'; 200];
        link.mtime = (1_700_000_000, 123_456_789);
        let mut hole = Member::new(b"hole".to_vec(), Kind::File, 512);
        hole.sparse = Some(1 << 40);
        // The header has the name up to the slash.
        let cut = Member::new([vec![b'a'; 99], b"/b".to_vec()].concat(), Kind::File, 3);
        let members = [long, link, hole, cut, Member::new(b"d/".to_vec(), Kind::Directory, 0)];
        let mut bytes = Vec::new();
        let mut seen = Vec::new();
        for member in members {
            member.append_to(&mut bytes);
            let content = vec![7; member.size as usize];
            bytes.extend_from_slice(&content);
            bytes.resize(bytes.len() + padding(member.size), 0);
            seen.push((member, content));
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        (bytes, Seen(seen))
    }

    #[test]
    fn members_come_back_from_pieces_of_every_size() {
        let (bytes, expected) = sample();
        for piece in [1, 3, 511, 512, 513, 10_000] {
            let (mut parser, mut seen) = (Parser::default(), Seen::default());
            for part in bytes.chunks(piece) {
                parser.feed(part, &mut seen).expect("a good archive");
            }
            parser.finish().expect("a whole archive");
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn cut_off_and_changed_archives_are_errors_or_other_members_but_never_a_panic() {
        let (bytes, _) = sample();
        let mut refused = 0;
        let mut state = 1u32;
        for at in 0..bytes.len() {
            let mut copy = bytes.clone();
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            copy[at] ^= (state >> 24) as u8 | 1;
            copy.truncate(bytes.len() - at / 3);
            let (mut parser, mut seen) = (Parser::default(), Seen::default());
            let result = parser.feed(&copy, &mut seen).and_then(|()| parser.finish());
            refused += usize::from(result.is_err());
        }
        assert!(refused > bytes.len() / 3, "{refused} of {}", bytes.len());
    }
}
