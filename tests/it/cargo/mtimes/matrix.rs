//! One change at a time, in checkouts with new and with old modification times, in another
//! directory than the first build.

use std::sync::LazyLock;

use super::support::{Files, Runner, Step, Times, app_output, check_out, project};

/// The project built and saved once.
static FIRST: LazyLock<Runner> = LazyLock::new(|| {
    let runner = Runner::new();
    let checkout = runner.path("first/repo");
    check_out(&project(), &checkout, Times::Now);
    let built = runner.build(&checkout);
    built.compiled_only(
        &[
            "app",
            "lib",
            "mac",
            "plain",
            "plain script",
            "scripted",
            "scripted script",
        ],
        "the first build",
    );
    runner.save(&Step::of(&checkout), "first");
    runner
});

/// A change to the project, and the packages that are compiled for it.
struct Case {
    name: &'static str,
    change: fn(&mut Files),
    compiled: &'static [&'static str],
}

fn replace(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = files.get_mut(path).expect(path);
    assert!(text.contains(from), "{path}: {from}");
    *text = text.replacen(from, to, 1);
}

fn rename(files: &mut Files, from: &str, to: &str) {
    let text = files.remove(from).expect(from);
    files.insert(to.into(), text);
}

const COMPILER: &[Case] = &[
    Case {
        name: "nothing",
        change: |_| {},
        compiled: &[],
    },
    Case {
        name: "other bytes of the same size in a leaf",
        change: |files| replace(files, "app/src/part.rs", "= 1", "= 2"),
        compiled: &["app"],
    },
    Case {
        name: "other bytes of the same size in a library",
        change: |files| replace(files, "lib/src/lib.rs", "lib1", "lib2"),
        compiled: &["app", "lib"],
    },
    Case {
        name: "a file that is included",
        change: |files| replace(files, "lib/data.txt", "data1", "data2"),
        compiled: &["app", "lib"],
    },
    Case {
        name: "a proc macro",
        change: |files| replace(files, "mac/src/lib.rs", "41", "42"),
        compiled: &["app", "mac"],
    },
    Case {
        name: "a module moved to another file",
        change: |files| {
            let text = files.remove("app/src/part.rs").unwrap().replace('1', "3");
            files.insert("app/src/part/mod.rs".into(), text);
        },
        compiled: &["app"],
    },
    Case {
        name: "a new module",
        change: |files| {
            replace(
                files,
                "app/src/main.rs",
                "part::PART",
                "part::PART + more::MORE",
            );
            replace(
                files,
                "app/src/main.rs",
                "mod part;",
                "mod part;\nmod more;",
            );
            files.insert(
                "app/src/more.rs".into(),
                "pub const MORE: u32 = 10;\n".into(),
            );
        },
        compiled: &["app"],
    },
    Case {
        name: "a removed module",
        change: |files| {
            files.remove("app/src/part.rs");
            replace(
                files,
                "app/src/main.rs",
                "mod part;",
                "mod part { pub const PART: u32 = 9; }",
            );
        },
        compiled: &["app"],
    },
    Case {
        name: "files that nothing reads, new and changed",
        change: |files| {
            replace(files, "lib/unused.txt", "unused", "UNUSED");
            files.insert("lib/src/unused.rs".into(), "not Rust".into());
        },
        compiled: &[],
    },
];

const SCRIPTED: &[Case] = &[
    Case {
        name: "a file that a build script watches",
        change: |files| replace(files, "scripted/watched.txt", "watched1", "watched2"),
        compiled: &["app", "scripted"],
    },
    Case {
        name: "a file that a build script does not watch",
        change: |files| replace(files, "scripted/unwatched.txt", "unwatched1", "unwatched2"),
        compiled: &[],
    },
    Case {
        name: "a file in a directory that a build script watches",
        change: |files| replace(files, "scripted/dir/one.txt", "one", "ONE"),
        compiled: &["app", "scripted"],
    },
    Case {
        name: "a new file in a directory that a build script watches",
        change: |files| {
            files.insert("scripted/dir/three.txt".into(), "three\n".into());
        },
        compiled: &["app", "scripted"],
    },
    Case {
        name: "a removed file in a directory that a build script watches",
        change: |files| {
            files.remove("scripted/dir/two.txt");
        },
        compiled: &["app", "scripted"],
    },
    Case {
        name: "a renamed file in a directory that a build script watches",
        change: |files| rename(files, "scripted/dir/two.txt", "scripted/dir/zwei.txt"),
        compiled: &["app", "scripted"],
    },
];

const PLAIN: &[Case] = &[
    Case {
        name: "a file of a package whose build script names nothing",
        change: |files| replace(files, "plain/files/one.txt", "one", "ONE"),
        compiled: &["app", "plain"],
    },
    Case {
        name: "a new file of a package whose build script names nothing",
        change: |files| {
            files.insert("plain/files/three.txt".into(), "three\n".into());
        },
        compiled: &["app", "plain"],
    },
    Case {
        name: "a removed file of a package whose build script names nothing",
        change: |files| {
            files.remove("plain/files/one.txt");
        },
        compiled: &["app", "plain"],
    },
    Case {
        name: "a renamed file of a package whose build script names nothing",
        change: |files| rename(files, "plain/files/two.txt", "plain/files/zwei.txt"),
        compiled: &["app", "plain"],
    },
    Case {
        name: "a build script itself",
        change: |files| replace(files, "plain/build.rs", "={};", "~{};"),
        compiled: &["app", "plain", "plain script"],
    },
];

fn run(cases: &[Case], group: &str) {
    let runner = &*FIRST;
    for case in cases {
        let mut files = project();
        (case.change)(&mut files);
        let checkout = runner.path(&format!("{group}/repo"));
        let mut clean = None;
        for times in [Times::Now, Times::Old] {
            let what = format!("{} ({times:?})", case.name);
            check_out(&files, &checkout, times);
            runner.restore(&Step::of(&checkout), "first");
            runner.build(&checkout).compiled_only(case.compiled, &what);
            if times == Times::Old {
                // The new times are not too new: a second build compiles nothing.
                runner
                    .build(&checkout)
                    .compiled_only(&[], &format!("{what}, built again"));
            }
            let expected = clean.get_or_insert_with(|| runner.clean_app_output(&checkout));
            assert_eq!(app_output(&checkout), *expected, "{what}");
        }
    }
}

#[test]
fn what_the_compiler_read_is_compiled_again_exactly_when_it_changed() {
    run(COMPILER, "compiler");
}

#[test]
fn what_a_build_script_watches_runs_it_exactly_when_it_changed() {
    run(SCRIPTED, "scripted");
}

#[test]
fn a_build_script_that_watches_nothing_runs_exactly_when_its_package_changed() {
    run(PLAIN, "plain");
}
