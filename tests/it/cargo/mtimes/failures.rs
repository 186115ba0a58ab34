//! Failed builds, edits at bad moments, several targets, damaged records: nothing becomes stale.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::support::{
    Files, Runner, Step, Times, app_output, built, check_out, make_old, package, pair,
};

pub(super) fn with_number(files: &Files, number: u32) -> Files {
    let mut files = files.clone();
    files.insert(
        "lib/src/lib.rs".into(),
        format!("pub const N: u32 = {number};\n"),
    );
    files
}

fn modified(path: &Path) -> SystemTime {
    fs::symlink_metadata(path).unwrap().modified().unwrap()
}

#[test]
fn a_failed_build_in_between_neither_hides_a_change_nor_loses_what_was_built() {
    let runner = Runner::new();
    let (files, step) = built(&runner);
    let mut broken = with_number(&files, 2);
    broken.insert(
        "src/main.rs".into(),
        "fn main() { println!(\"{}\", lib::N) \n".into(),
    );
    check_out(&broken, &step.checkout, Times::Now);
    runner.restore(&step, "key");
    assert!(!runner.build(&step.checkout).succeeded);
    runner.save(&step, "key");

    check_out(&with_number(&files, 2), &step.checkout, Times::Now);
    runner.restore(&step, "key");
    runner.build(&step.checkout).compiled_only(
        &["repo"],
        "the library was compiled before the build failed",
    );
    assert_eq!(app_output(&step.checkout), "2\n");

    // Back to the sources of the last successful build, which are not the ones built last.
    check_out(&files, &step.checkout, Times::Old);
    runner.restore(&step, "key");
    runner
        .build(&step.checkout)
        .compiled_only(&["lib", "repo"], "the first contents");
    assert_eq!(app_output(&step.checkout), "1\n");
}

#[test]
fn builds_without_incremental_compilation_are_fresh_and_stale_like_others() {
    let mut runner = Runner::new();
    runner.env.push(("CARGO_INCREMENTAL", "0".into()));
    let (files, step) = built(&runner);
    assert!(
        !step
            .checkout
            .join("target/debug/incremental")
            .join("lib")
            .exists()
    );
    check_out(&files, &step.checkout, Times::Now);
    runner.restore(&step, "key");
    runner
        .build(&step.checkout)
        .compiled_only(&[], "nothing changed");
    check_out(&with_number(&files, 2), &step.checkout, Times::Old);
    runner.restore(&step, "key");
    runner
        .build(&step.checkout)
        .compiled_only(&["lib", "repo"], "the library changed");
    assert_eq!(app_output(&step.checkout), "2\n");
}

#[test]
fn an_edit_between_build_and_save_is_compiled_in_the_next_job() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let files = pair("lib", ".", "lib");
    check_out(&files, &checkout, Times::Now);
    assert!(runner.build(&checkout).succeeded);
    let edited = with_number(&files, 2);
    fs::write(checkout.join("lib/src/lib.rs"), &edited["lib/src/lib.rs"]).unwrap();
    runner.save(&Step::of(&checkout), "key");
    for (files, number) in [(&edited, "2\n"), (&files, "1\n")] {
        for times in [Times::Now, Times::Old] {
            check_out(files, &checkout, times);
            runner.restore(&Step::of(&checkout), "key");
            runner
                .build(&checkout)
                .compiled_only(&["lib", "repo"], "edited after the build");
            assert_eq!(app_output(&checkout), number);
        }
    }
}

/// A build script that reads a file without telling cargo.
fn reading_beside(files: &mut Files) {
    files.insert(
        "lib/build.rs".into(),
        "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
         println!(\"cargo:rustc-env=N={}\", std::fs::read_to_string(\"../../spec/n.txt\").unwrap().trim());\n}\n"
            .into(),
    );
    files.insert(
        "lib/src/lib.rs".into(),
        "pub const N: &str = env!(\"N\");\n".into(),
    );
}

#[test]
fn a_change_in_the_input_sources_replays_no_times() {
    let runner = Runner::new();
    let (checkout, spec) = (runner.path("repo"), runner.path("spec"));
    let mut files = pair("lib", ".", "lib");
    reading_beside(&mut files);
    let lay = |number: &str, times: Times| {
        check_out(&files, &checkout, times);
        check_out(
            &Files::from([("n.txt".into(), number.into())]),
            &spec,
            times,
        );
    };
    let step = Step::of(&checkout).naming(spec.clone());
    lay("1", Times::Now);
    assert!(runner.build(&checkout).succeeded);
    runner.save(&step, "key");

    lay("1", Times::Now);
    assert!(!runner.restore(&step, "key").distrusted);
    runner
        .build(&checkout)
        .compiled_only(&[], "nothing changed");
    let changes: [(&str, &dyn Fn()); 3] = [
        ("other contents", &|| lay("2", Times::Old)),
        ("another name", &|| {
            lay("1", Times::Old);
            fs::write(spec.join("more.txt"), "").unwrap();
            make_old(&spec);
        }),
        ("nothing there", &|| {
            lay("1", Times::Now);
            fs::remove_dir_all(&spec).unwrap();
        }),
    ];
    for (what, change) in changes {
        change();
        let given = runner.restore(&step, "key");
        assert!(given.distrusted && given.given == 0, "{what}: {given:?}");
        if spec.exists() {
            runner
                .build(&checkout)
                .compiled_only(&["lib", "lib script", "repo"], what);
            let number = fs::read_to_string(spec.join("n.txt")).unwrap();
            assert_eq!(app_output(&checkout).trim(), number, "{what}");
        }
    }
    // A record made without the input does not contain it.
    lay("1", Times::Now);
    assert!(runner.build(&checkout).succeeded);
    runner.save(&Step::of(&checkout), "without");
    lay("2", Times::Now);
    assert!(runner.restore(&step, "without").distrusted);
}

/// Two workspaces that share a package: `one` and `two` in a checkout, each with a target
/// directory.
fn sharing(number: u32) -> Files {
    let mut files = Files::new();
    for name in ["one", "two"] {
        package(
            &mut files,
            name,
            "[workspace]\n[dependencies]\nshared = { path = \"../shared\" }\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n",
            &[("src/main.rs", "fn main() { println!(\"{}\", shared::N) }\n")],
        );
    }
    let text = format!("pub const N: u32 = {number};\n");
    package(&mut files, "shared", "", &[("src/lib.rs", &text)]);
    files
}

#[test]
fn a_later_step_does_not_age_files_that_an_earlier_one_needs_new() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let step = |name: &str, job: &str| Step {
        workspaces: vec![checkout.join(name)],
        job: job.to_owned(),
        ..Step::of(&checkout)
    };
    // The first workspace was built and saved with other contents than the second.
    for (name, number) in [("one", 1), ("two", 2)] {
        check_out(&sharing(number), &checkout, Times::Now);
        assert!(runner.build(&checkout.join(name)).succeeded);
        runner.save(&step(name, ""), "key");
    }
    for order in [["one", "two"], ["two", "one"]] {
        for number in [1, 2] {
            check_out(&sharing(number), &checkout, Times::Now);
            let job = format!("{order:?} {number}");
            for name in order {
                runner.restore(&step(name, &job), "key");
            }
            for name in order {
                assert!(runner.build(&checkout.join(name)).succeeded);
                assert_eq!(
                    app_output(&checkout.join(name)),
                    format!("{number}\n"),
                    "{job}: {name}"
                );
            }
        }
    }
}

/// Builds two workspaces that share sources, and saves them in one step, which it returns.
fn save_both(runner: &Runner, checkout: &Path) -> Step {
    let both = Step {
        workspaces: vec![checkout.join("one"), checkout.join("two")],
        ..Step::of(checkout)
    };
    check_out(&sharing(1), checkout, Times::Now);
    for name in ["one", "two"] {
        assert!(runner.build(&checkout.join(name)).succeeded);
    }
    runner.save(&both, "key");
    both
}

#[test]
fn workspaces_of_one_step_get_only_times_on_which_all_agree() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let both = save_both(&runner, &checkout);
    check_out(&sharing(1), &checkout, Times::Now);
    runner.restore(&both, "key");
    for name in ["one", "two"] {
        runner
            .build(&checkout.join(name))
            .compiled_only(&[], "nothing changed");
    }
    check_out(&sharing(2), &checkout, Times::Now);
    assert!(runner.build(&checkout.join("one")).succeeded);
    runner.save(
        &Step {
            workspaces: vec![checkout.join("one")],
            ..Step::of(&checkout)
        },
        "key",
    );
    for number in [1, 2] {
        check_out(&sharing(number), &checkout, Times::Old);
        runner.restore(&both, "key");
        for name in ["one", "two"] {
            runner
                .build(&checkout.join(name))
                .compiled_only(&["shared", name], "they do not agree");
            assert_eq!(app_output(&checkout.join(name)), format!("{number}\n"));
        }
    }
}

#[test]
fn an_unchanged_target_records_changes_that_another_one_was_built_with() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let both = save_both(&runner, &checkout);
    check_out(&sharing(2), &checkout, Times::Now);
    runner.restore(&both, "key");
    assert!(runner.build(&checkout.join("one")).succeeded);
    runner.save(&both, "key");

    check_out(&sharing(2), &checkout, Times::Now);
    runner.restore(&both, "key");
    runner
        .build(&checkout.join("one"))
        .compiled_only(&[], "it was built with these contents");
    runner
        .build(&checkout.join("two"))
        .compiled_only(&["shared", "two"], "it was not");
    assert_eq!(app_output(&checkout.join("two")), "2\n");
}

/// The lock file of a pair.
const LOCK: &str = r#"# This file is automatically @generated by Cargo.
# It is not intended for manual editing.
version = 4

[[package]]
name = "lib"
version = "0.1.0"

[[package]]
name = "repo"
version = "0.1.0"
dependencies = [
 "lib",
]
"#;

#[test]
fn a_manifest_with_stripped_patches_compiles_nothing_if_stripped_before_the_restore() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let mut stripped = pair("lib", ".", "lib");
    stripped.insert("build.rs".into(), "fn main() {}\n".into());
    let mut files = stripped.clone();
    *files.get_mut("Cargo.toml").unwrap() += "[patch.crates-io]\nnone = { path = \"../none\" }\n";
    files.insert("Cargo.lock".into(), LOCK.into());
    let strip = || fs::write(checkout.join("Cargo.toml"), &stripped["Cargo.toml"]).unwrap();
    check_out(&files, &checkout, Times::Now);
    strip();
    assert!(runner.build(&checkout).succeeded);
    runner.save(&Step::of(&checkout), "key");

    check_out(&files, &checkout, Times::Now);
    strip();
    runner.restore(&Step::of(&checkout), "key");
    runner
        .build(&checkout)
        .compiled_only(&[], "stripped before");
    // After the restore, only the package whose build script watches the whole package is affected.
    check_out(&files, &checkout, Times::Now);
    runner.restore(&Step::of(&checkout), "key");
    strip();
    runner
        .build(&checkout)
        .compiled_only(&["repo"], "stripped after");
}

#[test]
fn a_file_with_a_name_outside_of_the_checkout_keeps_its_time() {
    let runner = Runner::new();
    let (files, step) = built(&runner);
    check_out(&files, &step.checkout, Times::Now);
    let source = step.checkout.join("lib/src/lib.rs");
    fs::hard_link(&source, runner.path("elsewhere")).unwrap();
    let before = modified(&source);
    runner.restore(&step, "key");
    assert_eq!(modified(&source), before);
    runner
        .build(&step.checkout)
        .compiled_only(&["lib", "repo"], "it looks new");
}

#[test]
fn hard_links_of_one_file_are_judged_together() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let mut files = pair("lib", ".", "lib");
    files.insert("src/copy.rs".into(), "pub const N: u32 = 2;\n".into());
    check_out(&files, &checkout, Times::Now);
    assert!(runner.build(&checkout).succeeded);
    runner.save(&Step::of(&checkout), "key");
    for old in [false, true] {
        // The copy is unchanged, but the library is a hard link of it now and has other contents
        // than before.
        check_out(&files, &checkout, Times::Now);
        fs::remove_file(checkout.join("lib/src/lib.rs")).unwrap();
        fs::hard_link(
            checkout.join("src/copy.rs"),
            checkout.join("lib/src/lib.rs"),
        )
        .unwrap();
        if old {
            make_old(&checkout);
        }
        runner.restore(&Step::of(&checkout), "key");
        runner
            .build(&checkout)
            .compiled_only(&["lib", "repo"], "one of its names has other contents");
        assert_eq!(app_output(&checkout), "2\n");
    }
}
