//! Whether a worker runs on the right host, as which user, and with which home directory.

use local_cache::site::problem::SiteNotice;
use local_cache::site::users::User;
use local_cache::site::worker::Identity;
use local_cache::site::worker::identity::{
    HostCheck, HostProbe, HostVerdict, PathStep, WorkspaceId, runner_label, verify_host,
};
use std::path::PathBuf;

const SETTINGS: &str =
    "{\n  \"agentId\": 1,\n  \"agentName\": \"Mini\",\n  \"workFolder\": \"_work\"\n}";

fn check() -> HostCheck {
    HostCheck {
        root: PathBuf::from("/host"),
        hidden: Vec::new(),
        workspace: WorkspaceId {
            path: PathBuf::from("/home/runner/_work/repo/repo"),
            device: 1,
            inode: 2,
        },
        label: Some(runner_label(SETTINGS)),
        trusted: false,
        identity: Identity {
            uid: 1001,
            gid: 1001,
            groups: Vec::new(),
            settled: false,
        },
        withheld_groups: vec![105],
        network: false,
    }
}

fn seen() -> HostProbe {
    HostProbe {
        workspace: Some((1, 2)),
        way: way(&[("/", 0), ("/home", 0), ("/home/runner", 1001)]),
        root_uid: 0,
        unconfined: Vec::new(),
        runner_env: local_cache::Env::default(),
        settings: vec!["{}".to_owned(), SETTINGS.to_owned()],
        host_uid: 1001,
        in_user_namespace: false,
        user: Some(User {
            name: b"runner".to_vec(),
            uid: 1001,
            gid: 1001,
            home: Some("/home/runner".into()),
        }),
        home_exists: true,
        groups: vec![105],
        topmost_owned: Some("/home/owned".into()),
    }
}

fn works(check: &HostCheck, seen: &HostProbe) -> (PathBuf, Vec<SiteNotice>) {
    match verify_host(check, seen) {
        HostVerdict::Accepted { home, notices, .. } => (home, notices),
        other => panic!("{other:?}"),
    }
}

fn refused(check: &HostCheck, seen: &HostProbe) -> String {
    match verify_host(check, seen) {
        HostVerdict::WrongHost(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_label_is_the_runners_own_digest_of_its_settings() {
    // sha256sum of the text in lower case, first six digits.
    assert_eq!(runner_label(SETTINGS), "071e52");
    assert_eq!(
        runner_label(&format!("\u{feff}{}", SETTINGS.to_uppercase())),
        runner_label(SETTINGS)
    );
}

#[test]
fn the_runners_settings_prove_its_host() {
    assert_eq!(
        works(&check(), &seen()),
        (PathBuf::from("/home/runner"), Vec::new())
    );
    let (_, notices) = works(
        &check(),
        &HostProbe {
            user: None,
            ..seen()
        },
    );
    assert!(matches!(
        notices.as_slice(),
        [SiteNotice::HomeAssumed { .. }]
    ));
}

#[test]
fn without_them_the_user_must_be_known_and_not_root() {
    let unproved = HostProbe {
        settings: vec!["{}".to_owned()],
        ..seen()
    };
    assert_eq!(
        works(&check(), &unproved).1,
        [SiteNotice::ProvedByUser(1001)]
    );
    let user = Some(User {
        name: b"root".to_vec(),
        uid: 0,
        gid: 0,
        home: Some("/root".into()),
    });
    let root = HostProbe {
        user,
        host_uid: 0,
        ..unproved.clone()
    };
    let as_root = |check: HostCheck| HostCheck {
        identity: Identity {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            settled: false,
        },
        ..check
    };
    assert!(refused(&as_root(check()), &root).contains("no settings of this runner"));
    assert!(
        refused(
            &check(),
            &HostProbe {
                user: None,
                ..unproved
            }
        )
        .contains("uid 1001")
    );
    // nektos/act sets no label: then there is nothing more to ask for.
    let act = HostCheck {
        label: None,
        ..check()
    };
    let root = HostProbe {
        way: way(&[("/", 0), ("/root", 0)]),
        ..root
    };
    assert!(works(&as_root(act.clone()), &root).1.is_empty());
    assert!(
        refused(
            &act,
            &HostProbe {
                user: None,
                ..seen()
            }
        )
        .contains("no user with uid 1001")
    );
}

/// Directories on the way to the workspace, with their owners.
fn way(steps: &[(&str, u32)]) -> Vec<PathStep> {
    steps
        .iter()
        .map(|(path, uid)| PathStep {
            path: PathBuf::from(path),
            uid: *uid,
            is_link: false,
            is_open: false,
        })
        .collect()
}

/// Why a helper with this uid is refused if this is on the way to the workspace.
fn wrong_user(uid: u32, step: PathStep, trusted: bool) -> Option<String> {
    let identity = Identity {
        uid,
        ..check().identity
    };
    let probe = HostProbe {
        way: [way(&[("/", 0), ("/work", uid)]), vec![step]].concat(),
        ..seen()
    };
    let check = HostCheck {
        identity,
        trusted,
        ..check()
    };
    match verify_host(&check, &probe) {
        HostVerdict::WrongUser(why) => Some(why),
        _ => None,
    }
}

#[test]
fn a_helper_never_runs_as_a_user_to_whom_someone_else_s_symlink_leads() {
    let step = |uid: u32, is_link: bool, is_open: bool| PathStep {
        path: PathBuf::from("/work/repo"),
        uid,
        is_link,
        is_open,
    };
    for trusted in [false, true] {
        for (uid, step, is_refused) in [
            // The runner's own links, those of root, and directories of an administrator.
            (1001, step(1001, true, true), false),
            (1001, step(0, true, true), false),
            (1001, step(1000, false, true), false),
            // A step of uid 1001 made the workspace a link to a directory of another user.
            (1002, step(1001, true, false), true),
            (0, step(1001, true, false), true),
            // Only a runner that is root can work below directories that only root may change.
            (0, step(0, true, true), false),
            (0, step(0, false, false), false),
            (0, step(1001, false, false), true),
            (0, step(0, false, true), true),
        ] {
            let said = wrong_user(uid, step.clone(), trusted);
            assert_eq!(said.is_some(), is_refused, "uid {uid}, {step:?}");
            assert!(said.is_none_or(|said| said.contains("/work/repo")));
        }
    }
}

#[test]
fn a_helper_that_sees_too_much_does_nothing() {
    let probe = HostProbe {
        unconfined: vec!["/proc is not hidden".to_owned()],
        ..seen()
    };
    for trusted in [false, true] {
        let verdict = verify_host(&HostCheck { trusted, ..check() }, &probe);
        let expected = HostVerdict::Unconfined("/proc is not hidden".to_owned());
        assert_eq!(verdict, expected);
    }
}

#[test]
fn a_workspace_that_is_another_directory_is_never_used() {
    for (witness, said) in [
        (None, "does not exist there"),
        (Some((1, 3)), "another directory"),
        (Some((9, 2)), "another"),
    ] {
        for trusted in [false, true] {
            let why = refused(
                &HostCheck { trusted, ..check() },
                &HostProbe {
                    workspace: witness,
                    ..seen()
                },
            );
            assert!(
                why.contains(said) && why.contains("/home/runner/_work/repo/repo"),
                "{why}"
            );
        }
    }
}

#[test]
fn a_forced_site_is_accepted_if_the_workspace_is_the_right_one() {
    let nothing = HostProbe {
        settings: Vec::new(),
        user: None,
        ..seen()
    };
    let (home, notices) = works(
        &HostCheck {
            trusted: true,
            ..check()
        },
        &nothing,
    );
    assert_eq!(home, PathBuf::from("/home/owned"));
    assert!(matches!(
        notices.as_slice(),
        [SiteNotice::HomeAssumed { .. }]
    ));
}

#[test]
fn groups_are_read_once_and_never_the_engines() {
    let more = HostProbe {
        groups: vec![4, 27, 105],
        ..seen()
    };
    let wanted = Identity {
        uid: 1001,
        gid: 1001,
        groups: vec![4, 27],
        settled: true,
    };
    assert_eq!(
        verify_host(&check(), &more),
        HostVerdict::NeedsGroups(wanted.clone())
    );
    let again = HostCheck {
        identity: wanted,
        ..check()
    };
    assert!(works(&again, &more).1.is_empty());
    // Settled is settled, even if the group file changed meanwhile.
    let settled = Identity {
        settled: true,
        ..check().identity
    };
    assert!(
        works(
            &HostCheck {
                identity: settled,
                ..check()
            },
            &more
        )
        .1
        .is_empty()
    );
    // The primary group of passwd counts, not the group of a directory.
    let user = seen().user.map(|user| User { gid: 118, ..user });
    let expected = Identity {
        uid: 1001,
        gid: 118,
        groups: Vec::new(),
        settled: true,
    };
    assert_eq!(
        verify_host(
            &check(),
            &HostProbe {
                user: user.clone(),
                ..seen()
            }
        ),
        HostVerdict::NeedsGroups(expected)
    );
    // In a user namespace the host's numbers mean nothing.
    assert!(
        works(
            &check(),
            &HostProbe {
                user,
                groups: vec![4],
                in_user_namespace: true,
                ..seen()
            }
        )
        .1
        .is_empty()
    );
}

#[test]
fn the_home_is_the_one_in_passwd_or_a_notice_names_the_assumed_one() {
    let missing = HostProbe {
        home_exists: false,
        ..seen()
    };
    let (home, notices) = works(&check(), &missing);
    assert_eq!(home, PathBuf::from("/home/owned"));
    let said = notices[0].to_string();
    assert_eq!(
        said,
        "`~` is taken to be /home/owned, because /home/runner of the host's passwd does not exist"
    );
    let nowhere = HostProbe {
        user: None,
        topmost_owned: None,
        ..seen()
    };
    assert_eq!(
        works(&check(), &nowhere).0,
        PathBuf::from("/home/runner/_work/repo/repo")
    );
}
