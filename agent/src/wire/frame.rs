//! One frame: its types, and how it is laid out (section 1).

/// What a frame is for; the number is the byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    /// Host to guest: a new connection begins.
    Sync = 1,
    /// Guest to host: the answer to SYNC.
    Ack = 2,
    /// Asks for a PONG.
    Ping = 3,
    /// Echo of a PING.
    Pong = 4,
    /// Opens a stream with a request.
    Open = 5,
    /// Bytes on a channel.
    Data = 6,
    /// Permission to send more bytes on a channel.
    Credit = 7,
    /// No more DATA on a channel.
    End = 8,
    /// A message to the owner of a stream.
    Control = 9,
    /// The stream is over, with its result.
    Close = 10,
    /// The opener gives the stream up.
    Reset = 11,
}

impl FrameType {
    /// The type with this number on the wire, or `None` if there is none; 0 (padding) is none.
    pub fn from_byte(byte: u8) -> Option<Self> {
        use FrameType::*;
        Some(match byte {
            1 => Sync,
            2 => Ack,
            3 => Ping,
            4 => Pong,
            5 => Open,
            6 => Data,
            7 => Credit,
            8 => End,
            9 => Control,
            10 => Close,
            11 => Reset,
            _ => return None,
        })
    }

    /// Whether frames of this type carry the constant tag rather than the connection's.
    pub fn is_hello(self) -> bool {
        matches!(self, FrameType::Sync | FrameType::Ack)
    }
}

/// A frame whose header and tag were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: FrameType,
    /// The stream, 0 for the connection itself.
    pub stream: u32,
    /// At most `MAX_PAYLOAD` bytes.
    pub payload: Vec<u8>,
}

/// Appends one frame to `out`. The payload is `head` followed by `body`, together at most `MAX_PAYLOAD` bytes.
pub fn append_frame(out: &mut Vec<u8>, tag: u32, (kind, stream): (FrameType, u32), head: &[u8], body: &[u8]) {
    let length = head.len() + body.len();
    debug_assert!(length <= super::MAX_PAYLOAD);
    let word = (length as u32) << 8 | u32::from(kind as u8);
    out.reserve(super::HEADER + length + super::TRAILER);
    out.extend_from_slice(&word.to_le_bytes());
    out.extend_from_slice(&stream.to_le_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(body);
    out.extend_from_slice(&tag.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_byte_knows_exactly_the_eleven_types() {
        for byte in 0..=255u8 {
            let kind = FrameType::from_byte(byte);
            assert_eq!(kind.is_some(), (1..=11).contains(&byte), "{byte}");
            if let Some(kind) = kind {
                assert_eq!(kind as u8, byte);
            }
        }
    }

    #[test]
    fn append_frame_lays_out_header_payload_and_tag() {
        let mut out = Vec::new();
        append_frame(&mut out, 0x0403_0201, (FrameType::Data, 7), &[1], b"ab");
        assert_eq!(out, [6, 3, 0, 0, 7, 0, 0, 0, 1, b'a', b'b', 1, 2, 3, 4]);
    }
}
