//! Writing answers, and the closed set of ways in which a request is refused.

use rustix::io::Errno;

use super::fields::Malformed;
use crate::failure::errno_words;

/// SSH_FX_OK.
const OK: u32 = 0;
const STATUS: u8 = 101;

/// A request that was not done: a code of SSH_FX_* and words for people.
#[derive(Debug)]
pub struct Refusal {
    code: u32,
    words: String,
}

impl Refusal {
    /// SSH_FX_EOF: nothing more of a file or directory.
    pub fn end() -> Self {
        Refusal { code: 1, words: "End of file".into() }
    }

    /// SSH_FX_FAILURE.
    pub fn failure(words: impl Into<String>) -> Self {
        Refusal { code: 4, words: words.into() }
    }

    /// SSH_FX_OP_UNSUPPORTED.
    pub fn unsupported() -> Self {
        Refusal { code: 8, words: "Operation unsupported".into() }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        let code = match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => 2,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => 3,
            _ => 4,
        };
        Refusal { code, words: errno_words(errno.into()) }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Refusal::failure(error.to_string()),
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Refusal { code: 5, words: "Bad message".into() }
    }
}

/// One packet at the end of a buffer; its length is filled in when it is dropped.
#[derive(Debug)]
pub struct Reply<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Reply<'a> {
    /// A packet of this kind; all but VERSION begin with the id of their request.
    pub fn begin(buffer: &'a mut Vec<u8>, kind: u8) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0, 0, 0, 0, kind]);
        Reply { buffer, start }
    }

    /// The whole of a STATUS.
    pub fn status(buffer: &'a mut Vec<u8>, id: u32, refusal: Option<&Refusal>) {
        let (code, words) = refusal.map_or((OK, "Success"), |refusal| (refusal.code, refusal.words.as_str()));
        Reply::begin(buffer, STATUS).u32(id).u32(code).string(words.as_bytes()).string(b"");
    }

    /// A number of four bytes.
    pub fn u32(self, value: u32) -> Self {
        self.buffer.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A number of eight bytes.
    pub fn u64(self, value: u64) -> Self {
        self.buffer.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes behind their length.
    pub fn string(self, bytes: &[u8]) -> Self {
        self.u32(bytes.len() as u32).bytes(bytes)
    }

    /// Bytes as they are.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.buffer.extend_from_slice(bytes);
        self
    }

    /// Room for data behind its length, of which `fill` says how much it has used. On an error the packet is not to be sent.
    pub fn data<E>(self, most: usize, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let at = self.buffer.len();
        self.buffer.resize(at + 4 + most, 0);
        let used = fill(&mut self.buffer[at + 4..])?;
        self.buffer.truncate(at + 4 + used);
        self.buffer[at..at + 4].copy_from_slice(&(used as u32).to_be_bytes());
        Ok(())
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        let length = (self.buffer.len() - self.start - 4) as u32;
        self.buffer[self.start..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}
