//! Bytes to frames, for a connection whose tag is known (sections 1 and 2).

use super::{Frame, FrameType, HEADER, HELLO_TAG, MAX_PAYLOAD, TRAILER};

/// Why a byte sequence cannot be a sequence of frames. The connection it came on is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A type byte that names no frame type.
    Type(u8),
    /// A payload length above `MAX_PAYLOAD`.
    Length(u32),
    /// A tag that is not the connection's (or, for SYNC and ACK, not the constant one).
    Tag(u32),
    /// Well-formed frames that break a rule of streams or credit; the text names the rule.
    Rule(&'static str),
}

/// An incremental decoder. It holds at most one frame under construction, so at most
/// `MAX_PAYLOAD + TRAILER` bytes, and allocates them only after type and length were checked.
#[derive(Debug)]
pub struct Decoder {
    tag: u32,
    header: [u8; HEADER],
    have: usize,
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    kind: FrameType,
    stream: u32,
    length: usize,
    body: Vec<u8>,
}

impl Decoder {
    /// A decoder between two frames of a connection with this tag.
    pub fn new(tag: u32) -> Self {
        Decoder { tag, header: [0; HEADER], have: 0, partial: None }
    }

    /// Takes bytes from the front of `input` until a frame is complete or `input` is empty.
    ///
    /// `Ok(None)` means that all of `input` was taken and more is needed. After a violation the decoder must
    /// not be used again; `input` then starts after the bytes that showed the violation.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        while !input.is_empty() {
            if self.partial.is_none() {
                self.take_header(input)?;
            } else if self.take_body(input) {
                return self.finish().map(Some);
            }
        }
        Ok(None)
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<(), Violation> {
        if self.have == 0 {
            let padding = input.iter().position(|&byte| byte != 0);
            *input = &input[padding.unwrap_or(input.len())..];
        }
        let taken = input.len().min(HEADER - self.have);
        self.header[self.have..self.have + taken].copy_from_slice(&input[..taken]);
        *input = &input[taken..];
        self.have += taken;
        if self.have < HEADER {
            return Ok(());
        }
        self.have = 0;
        let [kind, l0, l1, l2, s0, s1, s2, s3] = self.header;
        let kind = FrameType::from_byte(kind).ok_or(Violation::Type(kind))?;
        let length = u32::from_le_bytes([l0, l1, l2, 0]);
        if length as usize > MAX_PAYLOAD {
            return Err(Violation::Length(length));
        }
        let length = length as usize;
        self.partial = Some(Partial {
            kind,
            stream: u32::from_le_bytes([s0, s1, s2, s3]),
            length,
            body: Vec::with_capacity(length + TRAILER),
        });
        Ok(())
    }

    fn take_body(&mut self, input: &mut &[u8]) -> bool {
        let Some(partial) = &mut self.partial else {
            return false;
        };
        let missing = partial.length + TRAILER - partial.body.len();
        let taken = input.len().min(missing);
        partial.body.extend_from_slice(&input[..taken]);
        *input = &input[taken..];
        taken == missing
    }

    fn finish(&mut self) -> Result<Frame, Violation> {
        let Some(Partial { kind, stream, length, body: mut payload }) = self.partial.take() else {
            return Err(Violation::Rule("no frame is under construction"));
        };
        let tag = payload[length..].try_into().map_or(0, u32::from_le_bytes);
        let expected = if kind.is_hello() { HELLO_TAG } else { self.tag };
        if tag != expected {
            return Err(Violation::Tag(tag));
        }
        payload.truncate(length);
        Ok(Frame { kind, stream, payload })
    }
}
