//! The environment of a command. Pure.

use std::collections::BTreeMap;
use std::ffi::CString;

use super::identity::Identity;
use super::search::DEFAULT_PATH;

/// Variables by name.
pub type Env = BTreeMap<String, String>;

/// The configured defaults, overridden by the request's, completed with what the user's entry, the terminal and the
/// agent's default `PATH` give.
pub fn build_env(defaults: &Env, own: &Env, identity: &Identity, term: Option<&str>) -> Env {
    let mut env = defaults.clone();
    env.extend(own.iter().map(|(k, v)| (k.clone(), v.clone())));
    let mut complete = |name: &str, value: &str| {
        env.entry(name.to_string()).or_insert_with(|| value.to_string());
    };
    complete("PATH", DEFAULT_PATH);
    complete("HOME", &identity.home);
    complete("SHELL", &identity.shell);
    if let Some(name) = &identity.name {
        complete("USER", name);
        complete("LOGNAME", name);
    }
    if let Some(term) = term {
        complete("TERM", term);
    }
    env
}

/// `NAME=value` strings. A pair with a NUL byte is left out; requests with one were refused earlier.
pub fn env_strings(env: &Env) -> Vec<CString> {
    env.iter().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_env_prefers_the_request_then_the_defaults_then_the_user() {
        let pairs =
            |list: &[(&str, &str)]| -> Env { list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect() };
        let identity =
            super::super::identity::resolve_identity("app", "app:x:5:5::/home/app:/bin/zsh", "").expect("app");
        let defaults = pairs(&[("PATH", "/opt"), ("A", "1"), ("HOME", "/h")]);
        let env = build_env(&defaults, &pairs(&[("A", "2")]), &identity, Some("xterm"));
        let expected = pairs(&[
            ("A", "2"),
            ("HOME", "/h"),
            ("LOGNAME", "app"),
            ("PATH", "/opt"),
            ("SHELL", "/bin/zsh"),
            ("TERM", "xterm"),
            ("USER", "app"),
        ]);
        assert_eq!(env, expected);
        assert_eq!(env_strings(&env)[0].to_bytes(), b"A=2");
    }
}
