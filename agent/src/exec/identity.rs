//! Who a command runs as, from the text of `/etc/passwd` and `/etc/group` (passwd(5), group(5)). Pure.

use crate::failure::{Code, Failure, Outcome};

/// A resolved user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// Login name, where one is known.
    pub name: Option<String>,
    /// Home directory, an absolute path.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

/// Resolves `name`, `uid`, `name:group` or `uid:gid`.
///
/// A number needs no entry. A name that has none is `not_found`, except `root`, which is always 0. With a group given
/// there are no supplementary groups, as in `docker run --user`.
pub fn resolve_identity(user: &str, passwd: &str, group: &str) -> Outcome<Identity> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    if user.is_empty() || wanted_group == Some("") {
        let message = "user must be NAME, UID, NAME:GROUP or UID:GID";
        return Err(Failure::new(Code::InvalidArgument, message));
    }
    let number = parse_id(user)?;
    let entry = passwd.lines().filter_map(parse_entry).find(|entry| match number {
        Some(uid) => entry.uid == uid,
        None => entry.name == user,
    });
    let mut identity = match (entry, number) {
        (Some(entry), _) => from_entry(&entry),
        (None, Some(uid)) => bare(uid, None),
        (None, None) if user == "root" => bare(0, Some("root")),
        (None, None) => return Err(missing("user", user, "passwd")),
    };
    match wanted_group {
        Some(wanted) => identity.gid = resolve_group(wanted, group)?,
        None => {
            if let Some(name) = &identity.name {
                identity.groups = memberships(name, group);
            }
        }
    }
    Ok(identity)
}

fn from_entry(entry: &Entry) -> Identity {
    Identity {
        uid: entry.uid,
        gid: entry.gid,
        groups: Vec::new(),
        name: Some(entry.name.to_string()),
        home: absolute_or(entry.home, "/"),
        shell: absolute_or(entry.shell, "/bin/sh"),
    }
}

fn bare(uid: u32, name: Option<&str>) -> Identity {
    Identity {
        uid,
        gid: 0,
        groups: Vec::new(),
        name: name.map(str::to_string),
        home: if uid == 0 { "/root" } else { "/" }.to_string(),
        shell: "/bin/sh".to_string(),
    }
}

fn resolve_group(wanted: &str, group: &str) -> Outcome<u32> {
    if let Some(gid) = parse_id(wanted)? {
        return Ok(gid);
    }
    group
        .lines()
        .filter_map(parse_group)
        .find(|(name, ..)| *name == wanted)
        .map(|(_, gid, _)| gid)
        .ok_or_else(|| missing("group", wanted, "group"))
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    group
        .lines()
        .filter_map(parse_group)
        .filter(|(.., members)| members.split(',').any(|member| member == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// A number if `text` is all digits; too large a one is an error. 2^32-1 means "unchanged" to the kernel.
fn parse_id(text: &str) -> Outcome<Option<u32>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) if id != u32::MAX => Ok(Some(id)),
        _ => Err(Failure::new(Code::InvalidArgument, format!("{text} is no user or group id"))),
    }
}

fn parse_entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(':');
    Some(Entry {
        name: fields.next().filter(|name| !name.is_empty())?,
        uid: entry_id(fields.nth(1)?)?,
        gid: entry_id(fields.next()?)?,
        home: fields.nth(1).unwrap_or_default(),
        shell: fields.next().unwrap_or_default(),
    })
}

fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = entry_id(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// The number in an entry. With 2^32-1 a command would stay who the agent is.
fn entry_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn absolute_or(path: &str, default: &str) -> String {
    let good = path.starts_with('/') && !path.contains('\0');
    if good { path } else { default }.to_string()
}

fn missing(what: &str, name: &str, file: &str) -> Failure {
    Failure::new(Code::NotFound, format!("the image's /etc/{file} has no {what} {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# comment\n\nbroken:x\n\
        app:x:1000:1001:,,,:/home/app:/bin/zsh\nodd:x:7:7::relative:\n\
        same:x:4294967295:0::/:\nsame2:x:0:4294967295::/:\n";
    const GROUP: &str = "root:x:0:\ndocker:x:999:app,other\nvideo:x:44:other,app\nbad\nstaff:x:50:\n\
        same:x:4294967295:app\n";

    fn ids(user: &str) -> Result<(u32, u32, Vec<u32>), Code> {
        resolve_identity(user, PASSWD, GROUP)
            .map(|found| (found.uid, found.gid, found.groups))
            .map_err(|failure| failure.code)
    }

    #[test]
    fn resolve_identity_takes_all_four_forms() {
        assert_eq!(ids("app"), Ok((1000, 1001, vec![999, 44])));
        assert_eq!(ids("1000"), Ok((1000, 1001, vec![999, 44])));
        assert_eq!(ids("app:staff"), Ok((1000, 50, vec![])));
        assert_eq!(ids("app:77"), Ok((1000, 77, vec![])));
        assert_eq!(ids("4242:4343"), Ok((4242, 4343, vec![])));
        assert_eq!(ids("4242"), Ok((4242, 0, vec![])));
    }

    #[test]
    fn resolve_identity_refuses_the_unknown_and_the_malformed() {
        assert_eq!(ids("nobody"), Err(Code::NotFound));
        assert_eq!(ids("app:nogroup"), Err(Code::NotFound));
        // setresuid(2) takes their numbers for "leave it".
        for user in ["same", "same2", "app:same"] {
            assert_eq!(ids(user), Err(Code::NotFound), "{user}");
        }
        for user in ["", ":", "app:", ":0", "4294967295", "99999999999", "0:4294967295"] {
            assert_eq!(ids(user), Err(Code::InvalidArgument), "{user}");
        }
    }

    #[test]
    fn resolve_identity_knows_root_without_any_file() {
        let root = resolve_identity("root", "", "").expect("root");
        assert_eq!((root.uid, root.gid, root.home.as_str()), (0, 0, "/root"));
    }

    #[test]
    fn resolve_identity_never_takes_a_relative_home_or_an_empty_shell() {
        let odd = resolve_identity("odd", PASSWD, GROUP).expect("odd");
        assert_eq!((odd.home.as_str(), odd.shell.as_str()), ("/", "/bin/sh"));
    }
}
