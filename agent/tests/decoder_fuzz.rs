//! Random and mutated bytes: the decoder never panics, never holds more than a frame, and never invents one.

use banger_agent::wire::{Decoder, FrameType, MAX_PAYLOAD, Sync, SyncSearch, append_frame};

const TAG: u32 = 0x0dec_0de5;
const ROUNDS: u64 = 4_000;

/// xorshift64*, seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Feeds `bytes` in random pieces; returns the payload sizes of the frames found before the first violation.
fn feed(bytes: &[u8], random: &mut Random) -> Vec<usize> {
    let mut decoder = Decoder::new(TAG);
    let mut sizes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(1 + random.below(rest.len()));
        rest = later;
        let mut input = piece;
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => {
                    assert!(frame.payload.len() <= MAX_PAYLOAD);
                    assert!(frame.payload.capacity() <= MAX_PAYLOAD + 4);
                    sizes.push(frame.payload.len());
                }
                Ok(None) => break,
                Err(_) => return sizes,
            }
        }
        assert!(input.is_empty());
    }
    sizes
}

#[test]
fn decode_takes_random_bytes_without_inventing_a_frame() {
    for seed in 1..=ROUNDS {
        let mut random = Random(seed);
        let length = random.below(2_000) + 1;
        let mut bytes = random.bytes(length);
        // Half of the rounds begin with a header that is good so far.
        if seed % 2 == 0 {
            bytes.splice(0..0, [1 + (seed % 11) as u8, random.next() as u8, random.below(5) as u8, 0]);
        }
        assert!(feed(&bytes, &mut random).is_empty(), "seed {seed}");
    }
}

#[test]
fn decode_of_mutated_frames_yields_at_most_the_frames_before_the_mutation() {
    for seed in 1..=ROUNDS {
        let mut random = Random(seed);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..=random.below(5) {
            let kind = FrameType::from_byte(3 + random.below(9) as u8).expect("a type");
            let length = random.below(300);
            let payload = random.bytes(length);
            append_frame(&mut bytes, TAG, (kind, random.next() as u32), &payload, &[]);
            ends.push(bytes.len());
        }
        assert_eq!(feed(&bytes, &mut random).len(), ends.len(), "seed {seed}");
        let position = random.below(bytes.len());
        let before = ends.iter().filter(|end| **end <= position).count();
        match random.below(3) {
            0 => bytes[position] ^= 1 << random.below(8),
            1 => drop(bytes.remove(position)),
            _ => bytes.truncate(position),
        }
        let sizes = feed(&bytes, &mut random);
        assert!(sizes.len() >= before, "seed {seed}");
        assert!(sizes.len() <= ends.len(), "seed {seed}");
    }
}

#[test]
fn search_finds_the_sync_behind_random_bytes_however_they_are_cut() {
    let mut sync = Vec::new();
    append_frame(&mut sync, 0x3147_4e42, (FrameType::Sync, 0), &[0xab; 16], &[1, 0]);
    for seed in 1..=ROUNDS {
        let mut random = Random(seed);
        // Bytes of SYNC's own header, mostly, to provoke false starts.
        let junk: Vec<u8> = (0..random.below(400)).map(|_| [0, 1, 18, 0xab][random.below(4)]).collect();
        let bytes = [&junk[..], &sync].concat();
        let (mut search, mut found, mut rest) = (SyncSearch::default(), Vec::<Sync>::new(), &bytes[..]);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(1 + random.below(rest.len()));
            rest = later;
            let mut input = piece;
            while !input.is_empty() {
                found.extend(search.search(&mut input));
            }
        }
        assert_eq!(found.len(), 1, "seed {seed}");
        assert_eq!(found[0].nonce, [0xab; 16]);
    }
}
