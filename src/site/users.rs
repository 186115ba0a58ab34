//! Parsers of passwd(5) and group(5).
//!
//! A static binary in an empty image has no name service, so the files are read directly. Users of
//! a directory service are not in them; callers report what they assume in that case.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: Vec<u8>,
    pub uid: u32,
    pub gid: u32,
    /// The home directory, if it is an absolute path.
    pub home: Option<PathBuf>,
}

/// The first user with this uid. Skips comments, `+` lines of old name services and invalid lines.
pub(super) fn find_user(passwd: &[u8], uid: u32) -> Option<User> {
    passwd
        .split(|byte| *byte == b'\n')
        .filter_map(parse_user)
        .find(|user| user.uid == uid)
}

fn parse_user(line: &[u8]) -> Option<User> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else {
        return None;
    };
    if name.is_empty() || matches!(name[0], b'#' | b'+' | b'-') {
        return None;
    }
    let home = home
        .starts_with(b"/")
        .then(|| PathBuf::from(OsStr::from_bytes(home)));
    Some(User {
        name: name.to_vec(),
        uid: parse_number(uid)?,
        gid: parse_number(gid)?,
        home,
    })
}

/// The gids of the groups that list `user`, sorted, without the primary group.
pub(super) fn supplementary_groups(group: &[u8], user: &User) -> Vec<u32> {
    let mut groups: Vec<u32> = group
        .split(|byte| *byte == b'\n')
        .filter_map(|line| parse_membership(line, user))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn parse_membership(line: &[u8], user: &User) -> Option<u32> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [_, _, gid, members] = fields.as_slice() else {
        return None;
    };
    let gid = parse_number(gid)?;
    let listed = members
        .split(|byte| *byte == b',')
        .any(|member| member.trim_ascii() == user.name);
    (listed && gid != user.gid).then_some(gid)
}

fn parse_number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/bash\n\
        # comment:x:1001:1:a:/no:/no\n\
        +nis:x:1001:1::/no:\n\
        broken:x:1001\n\
        half:x:one:1001::/no:\n\
        runner:x:1001:118:GitHub, runner:/home/run\xffner:/bin/sh\n\
        twin:x:1001:5::/home/twin:/bin/sh\n\
        adrift:x:1002:1002:::\n";
    const GROUP: &[u8] = b"root:x:0:\nadm:x:4:syslog,runner\ndocker:x:105:runner\nagain:x:105:runner\n\
        runner:x:118:runner\nrunners:x:7:runner2, brunner\nspaced:x:8:a, runner\nbad:x:nine:runner\nshort:x:9\n";

    #[test]
    fn the_first_valid_line_with_the_uid_is_the_user() {
        let user = find_user(PASSWD, 1001).unwrap();
        assert_eq!((user.name.as_slice(), user.gid), (&b"runner"[..], 118));
        assert_eq!(
            user.home.unwrap(),
            Path::new(OsStr::from_bytes(b"/home/run\xffner"))
        );
        assert_eq!(find_user(PASSWD, 1002).unwrap().home, None);
        assert_eq!(find_user(PASSWD, 4711), None);
    }

    #[test]
    fn supplementary_groups_are_those_that_name_the_user() {
        let user = find_user(PASSWD, 1001).unwrap();
        assert_eq!(supplementary_groups(GROUP, &user), [4, 8, 105]);
        assert_eq!(supplementary_groups(b"", &user), Vec::<u32>::new());
    }
}
