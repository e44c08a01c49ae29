//! The golden requests of `protocol/requests`, which the host's tests read, too.

mod support;

use banger_agent::requests::parse_request;
use serde_json::{Value, json};

use support::start;

struct Golden {
    name: String,
    request: Value,
    error: Option<String>,
    answer: Value,
}

#[test]
fn parse_request_agrees_with_every_golden_request() {
    for golden in read_golden() {
        let parsed = parse_request(golden.request.to_string().as_bytes());
        let error = parsed.err().map(|failure| failure.code.as_str().to_string());
        assert_eq!(error, golden.error, "{}", golden.name);
    }
}

#[test]
fn the_agent_answers_every_golden_request_with_the_same_members() {
    for Golden { name, request, error, answer } in read_golden() {
        let (_agent, mut host) = start();
        let got = host.request(request);
        match error {
            Some(code) => assert_eq!(got["error"]["code"], json!(code), "{name}"),
            None => assert_eq!(members(&got["ok"]), members(&answer["ok"]), "{name}: {got}"),
        }
    }
}

fn members(value: &Value) -> Vec<&String> {
    value.as_object().expect("an object").keys().collect()
}

fn read_golden() -> Vec<Golden> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/requests");
    let paths = std::fs::read_dir(dir).expect(dir).map(|entry| entry.expect("an entry").path());
    let parse = |json: Value| Golden {
        name: json["name"].as_str().expect("name").to_string(),
        request: json["request"].clone(),
        error: json["error"].as_str().map(str::to_string),
        answer: json["answer"].clone(),
    };
    let golden: Vec<_> =
        paths.map(|path| parse(serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON"))).collect();
    assert!(golden.len() >= 14);
    golden
}
