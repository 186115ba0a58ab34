//! Forged entries with correct checksums: a restore writes only below the requested roots.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use local_cache::digest::Digest;
use local_cache::tree::{Content, ContentLocation};

use crate::support::compare::identities;
use crate::support::forge::{self, Body, Dir, Kind, Leaf, dir, leaf};
use crate::support::{RunResult, Sandbox, trees};

const BYTES: &[u8] = b"written by a hostile entry";

/// A store whose only entry has a forged tree, and files outside of the job that must not change.
struct Case {
    sandbox: Sandbox,
    job: PathBuf,
    outside: PathBuf,
}

impl Case {
    fn new(paths: &[&str], dirs: Vec<Dir>, leaves: Vec<Leaf>) -> Self {
        let sandbox = Sandbox::new();
        let seed = sandbox.job("seed");
        trees::write(&seed.join("tree/file"), b"x");
        let real = [&["save", "--key", "k"], paths].concat();
        sandbox.run(&seed, &real).succeeded();
        let outside = sandbox.path("outside");
        trees::write(&outside.join("kept"), b"kept");
        trees::write(&outside.join("directory/kept"), b"kept");
        let (pack, pack_id) = forge::pack(&[BYTES]);
        let body = Body {
            packs: vec![pack_id],
            ..Body::of(dirs, leaves)
        };
        let (manifest, id) = body.seal();
        fs::write(sandbox.store().join(format!("packs/{pack_id}.pack")), pack).unwrap();
        forge::redirect_entry(&sandbox.store(), &manifest, &id);
        let job = sandbox.job("job");
        trees::write(&job.join("kept"), b"kept");
        Self {
            sandbox,
            job,
            outside,
        }
    }

    /// Restores, and demands that only paths below `allowed` of the job changed.
    #[track_caller]
    fn restore(&self, paths: &[&str], allowed: &str) -> RunResult {
        let before = self.outside_of(allowed);
        let ran = self.sandbox.run(
            &self.job,
            &[&["restore", "--mirror", "--key", "k"], paths].concat(),
        );
        assert_eq!(
            before,
            self.outside_of(allowed),
            "something else changed: {ran:#?}"
        );
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        ran
    }

    fn outside_of(&self, allowed: &str) -> Vec<String> {
        let mut found = Vec::new();
        for dir in [
            &self.outside,
            &self.job,
            &self.sandbox.path("home"),
            &self.sandbox.path("seed"),
        ] {
            let all = identities(dir);
            let kept = all.iter().filter(|(path, _)| {
                // The job's own directory changes its time when a root is made in it.
                **path != self.job && !path.starts_with(self.job.join(allowed))
            });
            found.extend(kept.map(|item| format!("{item:?}")));
        }
        found
    }
}

fn file(name: &[u8]) -> Leaf {
    let content = Content {
        digest: Digest::of(BYTES),
        location: ContentLocation::Pack(0),
    };
    leaf(
        name,
        Kind::File {
            size: BYTES.len() as u64,
            content: Some(content),
        },
    )
}

#[test]
fn a_valid_forged_entry_is_restored() {
    // This shows that the other tests do not fail for another reason.
    let case = Case::new(
        &["tree"],
        vec![dir(b"", 1, 0), dir(b"./tree", 0, 1)],
        vec![file(b"file")],
    );
    case.restore(&["tree"], "tree").succeeded();
    assert_eq!(fs::read(case.job.join("tree/file")).unwrap(), BYTES);
}

#[test]
fn roots_that_were_not_requested_are_refused() {
    let sandbox = Sandbox::new();
    let absolute = sandbox.path("elsewhere").display().to_string();
    for root in [
        "./other",
        "./tree/../other",
        "~/x",
        "./tree2",
        "./tree/below",
        "../outside",
        "tree",
        &absolute,
    ] {
        for as_directory in [false, true] {
            let (dirs, leaves) = if as_directory {
                (
                    vec![dir(b"", 1, 0), dir(root.as_bytes(), 0, 1)],
                    vec![file(b"file")],
                )
            } else {
                (vec![dir(b"", 0, 1)], vec![file(root.as_bytes())])
            };
            let case = Case::new(&["tree"], dirs, leaves);
            let line = case.restore(&["tree"], "nothing").failed(1);
            assert!(
                line.contains("which the step did not request"),
                "{root}: {line}"
            );
        }
    }
    assert!(!Path::new(&absolute).exists());
}

#[test]
fn one_root_does_not_redirect_another() {
    // The list has both; in the entry, one is a symlink and the other is below it.
    let sandbox = Sandbox::new();
    let target = sandbox.path("target");
    fs::create_dir(&target).unwrap();
    let to = target.as_os_str().as_encoded_bytes().to_vec();
    let paths = ["file", "tree", "tree/below"];
    let leaves = vec![
        file(b"./file"),
        leaf(b"./tree", Kind::Symlink(to)),
        leaf(b"./tree/below", Kind::HardLink(0)),
    ];
    let case = Case::new(&paths, vec![dir(b"", 0, 3)], leaves);
    let line = case.restore(&paths, "nothing").failed(1);
    assert!(line.contains("cannot be trusted"), "{line}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn names_that_escape_the_root_are_damage() {
    for name in [&b"../outside/new"[..], b"..", b"a/b", b"/tmp/new", b""] {
        let case = Case::new(
            &["tree"],
            vec![dir(b"", 1, 0), dir(b"./tree", 0, 1)],
            vec![file(name)],
        );
        let ran = case.restore(&["tree"], "nothing").exited(0);
        assert!(
            ran.stdout.contains("no entry for key") && ran.warnings().len() == 1,
            "{ran:#?}"
        );
    }
}

#[test]
fn symlinks_in_the_entry_are_not_followed() {
    // After one restore, the symlink is in place of a directory of the next entry.
    let outside = |case: &Case| case.outside.as_os_str().as_encoded_bytes().to_vec();
    let real = Case::new(
        &["tree"],
        vec![dir(b"", 1, 0), dir(b"./tree", 1, 0), dir(b"link", 0, 1)],
        vec![file(b"f")],
    );
    fs::create_dir(real.job.join("tree")).unwrap();
    symlink(&real.outside, real.job.join("tree/link")).unwrap();
    assert!(!outside(&real).is_empty());
    real.restore(&["tree"], "tree").succeeded();
    assert!(!real.job.join("tree/link").is_symlink());
    assert_eq!(fs::read(real.job.join("tree/link/f")).unwrap(), BYTES);
}

#[test]
fn impossible_sizes_are_refused_without_harm() {
    let content = || {
        Some(Content {
            digest: Digest::of(BYTES),
            location: ContentLocation::Pack(0),
        })
    };
    let blob = || {
        Some(Content {
            digest: Digest::of(BYTES),
            location: ContentLocation::Blob,
        })
    };
    let huge = i64::MAX as u64;
    for kinds in [
        [
            Kind::File {
                size: huge,
                content: content(),
            },
            Kind::File {
                size: huge,
                content: content(),
            },
        ],
        [
            Kind::File {
                size: huge,
                content: blob(),
            },
            Kind::File {
                size: huge,
                content: blob(),
            },
        ],
        [
            Kind::Sparse {
                size: huge,
                content: None,
                extents: Vec::new(),
            },
            Kind::Sparse {
                size: huge,
                content: None,
                extents: Vec::new(),
            },
        ],
    ] {
        let leaves = vec![
            leaf(b"a", kinds[0].clone()),
            leaf(b"b", kinds[1].clone()),
            file(b"c"),
        ];
        let case = Case::new(
            &["tree"],
            vec![dir(b"", 1, 0), dir(b"./tree", 0, 3)],
            leaves,
        );
        let ran = case.restore(&["tree"], "tree");
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        assert!(
            !case.job.join("tree/c").exists(),
            "half of an entry was restored"
        );
    }
}

#[test]
fn privileged_attributes_are_not_set() {
    if xattr::set(std::env::temp_dir(), "trusted.local-cache-test", b"x").is_err() {
        return crate::support::tools::skip("root", "attributes of the machine");
    }
    drop(xattr::remove(
        std::env::temp_dir(),
        "trusted.local-cache-test",
    ));
    let attribute = local_cache::fs::xattrs::Attribute {
        name: (*b"trusted.local-cache-test").into(),
        value: (*b"x").into(),
    };
    let leaves = vec![Leaf {
        attributes: vec![attribute],
        ..file(b"file")
    }];
    let case = Case::new(
        &["tree"],
        vec![dir(b"", 1, 0), dir(b"./tree", 0, 1)],
        leaves,
    );
    case.restore(&["tree"], "tree");
    let found = xattr::get(case.job.join("tree/file"), "trusted.local-cache-test")
        .ok()
        .flatten();
    assert_eq!(found, None);
}

#[test]
fn keys_are_never_paths() {
    let sandbox = Sandbox::new();
    let job = sandbox.job("job");
    trees::small(&job.join("tree"), 1);
    for key in [
        "../../escape",
        "/etc/escape",
        "a/../../b",
        ".",
        "..",
        "a\nb",
        "\u{1f980}",
        &"k".repeat(600),
    ] {
        assert!(sandbox.save(&job, key).succeeded().is_saved(), "{key}");
        assert!(sandbox.restore(&job, key).succeeded().is_hit(), "{key}");
    }
    let mut names: Vec<_> = fs::read_dir(sandbox.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["cache", "home", "job"]);
    assert_eq!(
        fs::read_dir(sandbox.store().join("entries"))
            .unwrap()
            .count(),
        8
    );
}
