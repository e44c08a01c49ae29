//! Well-formed frames in any order, for any stream, with any payload: whatever they make of its streams, the agent lives, and its next host is
//! served. `decoder_fuzz` is about the bytes below.

mod support;

use banger_agent::wire::FrameType;
use serde_json::{Value, json};
use support::{Host, start_configured};

const ROUNDS: u64 = 150;

/// xorshift64*, seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

fn requests(directory: &str) -> Vec<Value> {
    let file = format!("{directory}/file");
    vec![
        json!({"kind": "exec", "id": "c", "argv": ["cat"]}),
        json!({"kind": "exec", "id": "t", "argv": ["cat"], "tty": {"cols": 80, "rows": 24}}),
        json!({"kind": "exec", "id": "d", "argv": ["sh", "-c", "echo out; echo err >&2"], "detach": true}),
        json!({"kind": "attach", "id": "d"}),
        json!({"kind": "signal", "id": "c", "signal": "HUP"}),
        json!({"kind": "ps"}),
        json!({"kind": "stats"}),
        json!({"kind": "write", "path": file, "mode": 384}),
        json!({"kind": "put", "path": file, "mode": 384, "mtimeMs": 0, "key": "0123456789abcdef"}),
        json!({"kind": "read", "path": file}),
        json!({"kind": "stat", "path": file}),
        json!({"kind": "scan", "path": directory}),
        json!({"kind": "tar-out", "paths": [{"path": directory, "name": "x"}]}),
        json!({"kind": "tar-in", "path": directory}),
        json!({"kind": "splice", "path": file, "size": 0, "changedSeconds": 0, "changedNanoseconds": 0, "maxSize": 9}),
        json!({"kind": "listen", "unix": format!("{directory}/socket")}),
        json!({"kind": "dial", "unix": format!("{directory}/socket")}),
        json!({"kind": "datagrams", "port": 9}),
        json!({"kind": "accept", "id": 1}),
        json!({"kind": "freeze", "timeoutMs": 1}),
        json!({"kind": "thaw"}),
    ]
}

/// A payload, mostly one that fits the type of frame.
fn payload(kind: usize, random: &mut Random) -> Vec<u8> {
    let kind = if random.below(30) == 0 { 1 + random.below(11) } else { kind };
    match kind {
        6 => [&[0][..], &vec![b'x'; 1 + random.below(9_000)]].concat(),
        7 => {
            let bytes = [0u32, 1, 4096, 262_144, 1 << 30][random.below(5)];
            [&[1 + random.below(2) as u8][..], &bytes.to_le_bytes()].concat()
        }
        8 => vec![0],
        9 => [
            &br#"{"detach":{}}"#[..],
            br#"{"resize":{"cols":65535,"rows":0},"signal":"CONT"}"#,
            br#"{"refuse":{"id":1}}"#,
            b"not JSON",
        ][random.below(4)]
        .to_vec(),
        11 => Vec::new(),
        _ => (0..random.below(40)).map(|_| random.below(256) as u8).collect(),
    }
}

#[test]
fn no_order_of_frames_ends_the_agent_or_keeps_its_next_host_from_being_served() {
    let directory = std::env::temp_dir().join(format!("banger-frames-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let requests = requests(directory.to_str().expect("a path of plain letters"));
    let (_agent, mut host) = start_configured();
    for seed in 1..=ROUNDS {
        let mut random = Random(seed);
        let mut opened = vec![host.open(requests[0].clone())];
        for _ in 0..30 {
            if random.below(3) == 0 {
                opened.push(host.open(requests[random.below(requests.len())].clone()));
                continue;
            }
            let stream = match random.below(60) {
                0 => random.below(64) as u32,
                _ => opened[random.below(opened.len())],
            };
            // Mostly what a host says of a stream; the others end the connection.
            let number = match random.below(60) {
                0 => 1 + random.below(11),
                _ => [6, 6, 7, 8, 9, 11][random.below(6)],
            };
            let kind = FrameType::from_byte(number as u8).expect("a type");
            host.send(kind, stream, &payload(number, &mut random));
        }
        host = Host::connect(host.into_stream(), true);
        let answer = host.request(json!({"kind": "stats"}));
        assert!(answer["ok"]["uptimeMs"].is_u64(), "seed {seed}: {answer}");
    }
    std::fs::remove_dir_all(&directory).expect("removed");
}
