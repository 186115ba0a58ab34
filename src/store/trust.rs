//! Which cache roots are used: those that nobody else may write to, unless they are shared on
//! purpose.
//!
//! Who may write to a store decides what jobs restore, and can move or remove its files at any
//! time. So the cache root has to belong to the user or to root, and so has the store in it. A root
//! is shared on purpose if it has the set-group-ID bit and its group may write to it: everybody in
//! that group is trusted then. No directory gets this bit and this permission by accident, unless
//! its parent directory is shared in the same way.
//!
//! Root may use the store of any user: root in a job's container works in the store of the runner's
//! user.

use std::fmt;

use crate::fs::Stat;

/// Who may use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The owner of the cache root.
    Private,
    /// Everybody in the group of the cache root.
    Group,
}

/// Why a cache root or a store in it is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// The cache root is a symlink, and this user made it.
    ForeignLink(u32),
    /// It belongs to this user.
    Foreign(u32),
    OpenToEveryone,
    OpenToGroup,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignLink(owner) => write!(f, "it is a symlink that the user {owner} made"),
            Self::Foreign(owner) => write!(f, "it belongs to the user {owner}"),
            Self::OpenToEveryone => f.write_str("every user may write to it"),
            Self::OpenToGroup => f.write_str("its group may write to it"),
        }
    }
}

impl Distrust {
    /// What to do.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::ForeignLink(_) => {
                "choose a directory of the user who runs this with --cache-root"
            }
            Self::Foreign(_) => {
                "choose another directory with --cache-root, or let the user who runs this own it"
            }
            Self::OpenToEveryone => "close it with `chmod o-w`",
            Self::OpenToGroup => {
                "close it with `chmod g-w`, or share it with the group on purpose: \
                 `chown root` and `chmod g+s`"
            }
        }
    }
}

/// Whether `user` may use a cache root. `link` is the symlink by which it was opened.
pub(crate) fn judge_root(user: u32, link: Option<&Stat>, root: &Stat) -> Result<Sharing, Distrust> {
    let is_trusted = |owner| owner == user || owner == 0;
    if let Some(link) = link
        && !is_trusted(link.uid)
        && !(user == 0 && link.uid == root.uid)
    {
        return Err(Distrust::ForeignLink(link.uid));
    }
    if !is_trusted(root.uid) && user != 0 {
        return Err(Distrust::Foreign(root.uid));
    }
    sharing(root)
}

/// Whether `user` may use the store in a cache root that passed [`judge_root`].
pub(crate) fn judge_store(user: u32, root: &Stat, store: &Stat) -> Result<(), Distrust> {
    let is_shared = sharing(root)? == Sharing::Group && store.gid == root.gid;
    if sharing(store)? == Sharing::Group && !is_shared {
        return Err(Distrust::OpenToGroup);
    }
    // In a shared root, the member of the group who saved first made the store.
    if is_shared || [user, root.uid, 0].contains(&store.uid) {
        Ok(())
    } else {
        Err(Distrust::Foreign(store.uid))
    }
}

fn sharing(dir: &Stat) -> Result<Sharing, Distrust> {
    if dir.mode & 0o002 != 0 {
        Err(Distrust::OpenToEveryone)
    } else if dir.mode & 0o020 == 0 {
        Ok(Sharing::Private)
    } else if dir.mode & 0o2000 != 0 {
        Ok(Sharing::Group)
    } else {
        Err(Distrust::OpenToGroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;
    const OTHER: u32 = 1001;
    const GROUP: u32 = 50;

    fn dir(uid: u32, gid: u32, mode: u32) -> Stat {
        let stat = crate::fs::files::stat(std::path::Path::new("/")).unwrap();
        Stat {
            mode,
            uid,
            gid,
            ..stat.unwrap()
        }
    }

    #[test]
    fn a_root_of_the_user_or_of_root_is_used_and_that_of_others_is_not() {
        let judge = |user, owner, mode| judge_root(user, None, &dir(owner, GROUP, mode));
        for owner in [ME, 0] {
            for mode in [0o700, 0o755, 0o2755] {
                assert_eq!(judge(ME, owner, mode), Ok(Sharing::Private), "{mode:o}");
            }
            assert_eq!(judge(ME, owner, 0o2775), Ok(Sharing::Group));
            assert_eq!(judge(ME, owner, 0o775), Err(Distrust::OpenToGroup));
            for mode in [0o777, 0o1777, 0o2777, 0o702] {
                assert_eq!(
                    judge(ME, owner, mode),
                    Err(Distrust::OpenToEveryone),
                    "{mode:o}"
                );
            }
        }
        for mode in [0o700, 0o755, 0o777, 0o2775] {
            assert_eq!(
                judge(ME, OTHER, mode),
                Err(Distrust::Foreign(OTHER)),
                "{mode:o}"
            );
        }
        assert_eq!(judge(0, OTHER, 0o755), Ok(Sharing::Private));
        assert_eq!(judge(0, OTHER, 0o1777), Err(Distrust::OpenToEveryone));
    }

    #[test]
    fn a_symlink_of_somebody_else_is_not_followed() {
        let own = dir(ME, GROUP, 0o700);
        let judge = |user, link: u32, root| judge_root(user, Some(&dir(link, GROUP, 0o777)), root);
        assert_eq!(judge(ME, OTHER, &own), Err(Distrust::ForeignLink(OTHER)));
        assert_eq!(judge(ME, ME, &own), Ok(Sharing::Private));
        assert_eq!(judge(ME, 0, &own), Ok(Sharing::Private));
        // Root in a container: the runner's user made both.
        assert_eq!(judge(0, ME, &own), Ok(Sharing::Private));
        assert_eq!(judge(0, OTHER, &own), Err(Distrust::ForeignLink(OTHER)));
    }

    #[test]
    fn the_store_belongs_to_the_user_or_to_the_group_of_a_shared_root() {
        let (private, shared) = (dir(0, 0, 0o755), dir(0, GROUP, 0o2775));
        let cases = [
            (&private, dir(ME, ME, 0o700), Ok(())),
            (&private, dir(0, 0, 0o700), Ok(())),
            (
                &private,
                dir(OTHER, ME, 0o700),
                Err(Distrust::Foreign(OTHER)),
            ),
            (&private, dir(ME, GROUP, 0o2770), Err(Distrust::OpenToGroup)),
            (&private, dir(ME, ME, 0o777), Err(Distrust::OpenToEveryone)),
            (&shared, dir(OTHER, GROUP, 0o2770), Ok(())),
            (
                &shared,
                dir(OTHER, OTHER, 0o2770),
                Err(Distrust::OpenToGroup),
            ),
            (
                &shared,
                dir(OTHER, OTHER, 0o700),
                Err(Distrust::Foreign(OTHER)),
            ),
            (
                &shared,
                dir(OTHER, GROUP, 0o2777),
                Err(Distrust::OpenToEveryone),
            ),
        ];
        for (root, store, expected) in cases {
            assert_eq!(judge_store(ME, root, &store), expected, "{store:?}");
        }
    }
}
