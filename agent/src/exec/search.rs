//! Which files a command name may stand for (execvp(3)). Pure.

use std::ffi::CString;

/// Where commands are searched when the environment has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The paths to try in order. A name with a slash stands for itself; an empty entry of `path` is the working directory.
/// An empty name, or one with a NUL byte, stands for nothing.
pub fn candidates(name: &str, path: &str) -> Vec<CString> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.contains('/') {
        return CString::new(name).into_iter().collect();
    }
    path.split(':')
        .map(|dir| match dir {
            "" => format!("./{name}"),
            _ => format!("{}/{name}", dir.trim_end_matches('/')),
        })
        .filter_map(|path| CString::new(path).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, path: &str) -> Vec<String> {
        candidates(name, path).into_iter().map(|path| path.into_string().expect("text")).collect()
    }

    #[test]
    fn candidates_follow_path_in_order() {
        assert_eq!(list("ls", "/usr/bin/:/bin"), ["/usr/bin/ls", "/bin/ls"]);
        assert_eq!(list("ls", ":/bin:"), ["./ls", "/bin/ls", "./ls"]);
        assert_eq!(list("ls", "/"), ["/ls"]);
    }

    #[test]
    fn candidates_of_a_name_with_a_slash_is_itself() {
        assert_eq!(list("./run", "/bin"), ["./run"]);
        assert_eq!(list("/bin/ls", ""), ["/bin/ls"]);
    }

    #[test]
    fn candidates_of_nothing_are_none() {
        assert!(list("", "/bin").is_empty());
        assert!(list("a\0b", "/bin").is_empty());
    }
}
