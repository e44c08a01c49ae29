//! What `parse_request` accepts and refuses.

use super::*;

fn code(json: &str) -> Code {
    parse_request(json.as_bytes()).expect_err(json).code
}

#[test]
fn parse_request_refuses_what_is_no_request() {
    for json in ["", "1", "[]", "{", "{\"kind\":1}", "{}", "\u{0}", "{\"kind\":\"ps\"}x"] {
        assert_eq!(code(json), Code::InvalidArgument, "{json}");
    }
    assert_eq!(code(r#"{"kind":"teleport"}"#), Code::Unsupported);
}

#[test]
fn parse_request_survives_deep_nesting() {
    let json = format!(r#"{{"kind":{}"#, "[".repeat(200_000));
    assert_eq!(code(&json), Code::InvalidArgument);
}

#[test]
fn parse_request_ignores_unknown_fields() {
    assert!(parse_request(br#"{"kind":"ps","later":true}"#).is_ok());
}

#[test]
fn exec_refuses_bad_ids_arguments_and_environments() {
    let many = vec!["x"; 4097].join("\",\"");
    let cases = [
        r#""id":"","argv":["true"]"#.to_string(),
        r#""id":"a b","argv":["true"]"#.to_string(),
        format!(r#""id":"{}","argv":["true"]"#, "a".repeat(65)),
        r#""id":"a","argv":[]"#.to_string(),
        r#""id":"a","argv":["a\u0000b"]"#.to_string(),
        format!(r#""id":"a","argv":["{many}"]"#),
        r#""id":"a","argv":["true"],"env":{"":"x"}"#.to_string(),
        r#""id":"a","argv":["true"],"env":{"A=B":"x"}"#.to_string(),
        r#""id":"a","argv":["true"],"env":{"A":"\u0000"}"#.to_string(),
        r#""id":"a","argv":["true"],"cwd":"relative"#.to_string() + "\"",
        r#""id":"a","argv":["true"],"timeoutMs":-1"#.to_string(),
    ];
    for case in cases {
        let json = format!(r#"{{"kind":"exec",{case}}}"#);
        assert_eq!(code(&json), Code::InvalidArgument, "{json}");
    }
}

#[test]
fn exec_takes_the_example_of_the_protocol() {
    let json = br#"{"kind":"exec", "id":"e1", "argv":["make","-j4"], "env":{"K":"V"}, "cwd":"/root",
        "user":"1000:1000", "tty": {"cols":80,"rows":24,"term":"xterm-256color"}, "timeoutMs": 30000, "detach": false}"#;
    let Ok(Request::Exec(exec)) = parse_request(json) else {
        panic!("not an exec");
    };
    assert_eq!((exec.id.as_str(), exec.timeout_ms), ("e1", 30000));
    assert_eq!(exec.tty.expect("a tty").cols, 80);
}

#[test]
fn configure_refuses_names_that_would_break_out_of_their_line() {
    for field in [
        r#""hostname":"a\nb""#,
        r#""hostname":"""#,
        r#""hostname":"a","hosts":[{"address":"1.2.3.4\n","names":["a"]}]"#,
        r#""hostname":"a","hosts":[{"address":"1.2.3.4","names":["a b"]}]"#,
        r#""hostname":"a","nameservers":["1.1.1.1\noptions x"]"#,
        r#""hostname":"a","search":["a\nb"]"#,
        r#""hostname":"a","mounts":[{"disk":"v","type":"ext4","target":"data"}]"#,
        r#""hostname":"a","mounts":[{"disk":"v","type":"ext4","target":"/a/../b"}]"#,
    ] {
        let json = format!(r#"{{"kind":"configure","rootfs":{{"disk":"rootfs","type":"squashfs"}},{field}}}"#);
        assert_eq!(code(&json), Code::InvalidArgument, "{json}");
    }
}
