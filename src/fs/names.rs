//! Names of users and groups, for people.

use nix::unistd::{Gid, Group, Uid, User};

/// The name of a user, or its id if it has none here.
pub(crate) fn user_name(id: u32) -> String {
    let user = User::from_uid(Uid::from_raw(id)).ok().flatten();
    user.map_or_else(|| id.to_string(), |user| user.name)
}

/// The name of a group, or its id if it has none here.
pub(crate) fn group_name(id: u32) -> String {
    let group = Group::from_gid(Gid::from_raw(id)).ok().flatten();
    group.map_or_else(|| id.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_without_a_name_are_shown_as_they_are() {
        assert_eq!(user_name(0), "root");
        assert_eq!(group_name(0), "root");
        assert_eq!(user_name(u32::MAX - 7), (u32::MAX - 7).to_string());
        assert_eq!(group_name(u32::MAX - 7), (u32::MAX - 7).to_string());
    }
}
