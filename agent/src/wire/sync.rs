//! SYNC: what it carries, and the search for one in a stream of unknown bytes (section 2).

use super::{FrameType, HEADER, HELLO_TAG, TRAILER};

/// Bytes of a SYNC payload: the nonce and the generation.
const PAYLOAD: usize = 18;
/// Bytes of a whole SYNC frame.
const FRAME: usize = HEADER + PAYLOAD + TRAILER;
const HEADER_BYTES: [u8; HEADER] = [FrameType::Sync as u8, PAYLOAD as u8, 0, 0, 0, 0, 0, 0];

/// The start of a connection, as the host asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Fresh and random; the ACK echoes it.
    pub nonce: [u8; 16],
    /// The newest generation that the host speaks.
    pub generation: u16,
}

impl Sync {
    /// Reads a SYNC payload. `None` if it is not 18 bytes long or its tag would be zero.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (nonce, generation) = payload.split_first_chunk::<16>()?;
        let generation = u16::from_le_bytes(generation.try_into().ok()?);
        let sync = Sync { nonce: *nonce, generation };
        (sync.tag() != 0).then_some(sync)
    }

    /// The tag of every later frame of the connection.
    pub fn tag(&self) -> u32 {
        let [a, b, c, d, ..] = self.nonce;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Finds the next well-formed SYNC, discarding byte by byte everything that is not one.
#[derive(Debug)]
pub struct SyncSearch {
    window: [u8; FRAME],
    have: usize,
}

impl Default for SyncSearch {
    fn default() -> Self {
        SyncSearch { window: [0; FRAME], have: 0 }
    }
}

impl SyncSearch {
    /// Takes bytes from the front of `input` until a SYNC is complete or `input` is empty.
    pub fn search(&mut self, input: &mut &[u8]) -> Option<Sync> {
        while !input.is_empty() {
            if self.have == 0 {
                let start = input.iter().position(|&byte| byte == HEADER_BYTES[0]);
                *input = &input[start.unwrap_or(input.len())..];
            }
            let Some((&byte, rest)) = input.split_first() else {
                break;
            };
            *input = rest;
            self.window[self.have] = byte;
            self.have += 1;
            while self.have > 0 && !may_be_sync(&self.window[..self.have]) {
                self.window.copy_within(1..self.have, 0);
                self.have -= 1;
            }
            if self.have == FRAME {
                self.have = 0;
                return Sync::parse(&self.window[HEADER..HEADER + PAYLOAD]);
            }
        }
        None
    }
}

/// Whether `bytes` (at most a frame) is the beginning of some well-formed SYNC.
fn may_be_sync(bytes: &[u8]) -> bool {
    let header = bytes.len().min(HEADER);
    let tag = bytes.get(HEADER + PAYLOAD..).unwrap_or_default();
    bytes[..header] == HEADER_BYTES[..header]
        && HELLO_TAG.to_le_bytes().starts_with(tag)
        && bytes.get(HEADER..HEADER + 4) != Some(&[0; 4])
}

#[cfg(test)]
mod tests {
    use super::super::append_frame;
    use super::*;

    fn sync_bytes(nonce: [u8; 16]) -> Vec<u8> {
        let mut out = Vec::new();
        append_frame(&mut out, HELLO_TAG, (FrameType::Sync, 0), &nonce, &[1, 0]);
        out
    }

    fn found(bytes: &[u8]) -> Option<(Sync, usize)> {
        let mut input = bytes;
        let sync = SyncSearch::default().search(&mut input)?;
        Some((sync, input.len()))
    }

    #[test]
    fn search_finds_a_sync_after_anything() {
        let sync = sync_bytes([9; 16]);
        let cases: [&[u8]; 5] = [b"", &[0; 300], b"\x01\x12\x00", &[1; 40], &sync[..29]];
        for junk in cases {
            let bytes = [junk, &sync, b"rest"].concat();
            let (sync, left) = found(&bytes).expect("found");
            assert_eq!((sync.nonce, sync.generation, left), ([9; 16], 1, 4));
        }
    }

    #[test]
    fn search_finds_a_sync_that_overlaps_a_false_start() {
        // The first header's "nonce" holds the beginning of the real SYNC.
        let real = sync_bytes([7; 16]);
        let bytes = [&HEADER_BYTES[..], b"abcd", &real].concat();
        assert_eq!(found(&bytes).expect("found").0.nonce, [7; 16]);
    }

    #[test]
    fn search_refuses_a_wrong_tag_a_zero_tag_and_a_wrong_length() {
        let mut wrong_tag = sync_bytes([9; 16]);
        wrong_tag[26] ^= 1;
        let mut zero = [5; 16];
        zero[..4].fill(0);
        let mut wrong_length = sync_bytes([9; 16]);
        wrong_length[1] = 19;
        for bytes in [wrong_tag, sync_bytes(zero), wrong_length] {
            assert_eq!(found(&bytes), None);
        }
    }

    #[test]
    fn search_gives_the_same_result_fed_one_byte_at_a_time() {
        let bytes = [&[1, 18, 0, 0][..], &sync_bytes([3; 16])].concat();
        let mut search = SyncSearch::default();
        let results: Vec<_> = bytes.iter().filter_map(|&byte| search.search(&mut &[byte][..])).collect();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].tag(), 0x0303_0303);
    }
}
