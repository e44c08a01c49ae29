//! The golden vectors of `protocol/vectors`, which the host's decoder is tested with, too.

use banger_agent::wire::{Decoder, Frame, FrameType, Violation};
use serde_json::Value;

struct Vector {
    name: String,
    tag: u32,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    violation: Option<String>,
}

#[test]
fn decode_agrees_with_every_vector_fed_whole() {
    for vector in read_vectors() {
        check(&vector, vector.bytes.len());
    }
}

#[test]
fn decode_agrees_with_every_vector_fed_in_pieces() {
    for vector in read_vectors() {
        for piece in [1, 2, 7, 4096] {
            check(&vector, piece);
        }
    }
}

#[test]
fn vectors_cover_every_type_and_every_violation() {
    let vectors = read_vectors();
    for kind in 1..=11 {
        let kind = FrameType::from_byte(kind).expect("a type");
        assert!(vectors.iter().any(|v| v.frames.iter().any(|f| f.kind == kind)), "{kind:?}");
    }
    for violation in ["type", "length", "tag"] {
        assert!(vectors.iter().any(|v| v.violation.as_deref() == Some(violation)), "{violation}");
    }
}

fn check(vector: &Vector, piece: usize) {
    let mut decoder = Decoder::new(vector.tag);
    let (mut frames, mut violation) = (Vec::new(), None);
    'feed: for mut input in vector.bytes.chunks(piece) {
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(found) => {
                    violation = Some(found);
                    break 'feed;
                }
            }
        }
    }
    assert_eq!(frames, vector.frames, "{}", vector.name);
    let violation = violation.map(|violation| match violation {
        Violation::Type(_) => "type",
        Violation::Length(_) => "length",
        Violation::Tag(_) => "tag",
        Violation::Rule(rule) => rule,
    });
    assert_eq!(violation, vector.violation.as_deref(), "{}", vector.name);
}

fn read_vectors() -> Vec<Vector> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/vectors");
    let paths = std::fs::read_dir(dir).expect(dir).map(|entry| entry.expect("an entry").path());
    let vectors: Vec<_> = paths
        .map(|path| parse_vector(&serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")))
        .collect();
    assert!(vectors.len() >= 30);
    vectors
}

fn parse_vector(json: &Value) -> Vector {
    let frame = |json: &Value| Frame {
        kind: FrameType::from_byte(json["type"].as_u64().expect("type") as u8).expect("a type"),
        stream: json["stream"].as_u64().expect("stream") as u32,
        payload: parse_bytes(&json["payload"]),
    };
    Vector {
        name: json["name"].as_str().expect("name").to_string(),
        tag: json["tag"].as_u64().expect("tag") as u32,
        bytes: parse_bytes(&json["bytes"]),
        frames: json["frames"].as_array().expect("frames").iter().map(frame).collect(),
        violation: json["violation"].as_str().map(str::to_string),
    }
}

/// Hex, `{"repeat": [hex, count]}`, or a list of such.
fn parse_bytes(json: &Value) -> Vec<u8> {
    if let Some(hex) = json.as_str() {
        let digits = hex.as_bytes().chunks_exact(2);
        return digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect();
    }
    if let Some(parts) = json.as_array() {
        return parts.iter().flat_map(parse_bytes).collect();
    }
    let count = json["repeat"][1].as_u64().expect("a count") as usize;
    parse_bytes(&json["repeat"][0]).repeat(count)
}
