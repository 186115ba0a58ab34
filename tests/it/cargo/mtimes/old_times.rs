//! Sources that were changed, built and reverted with their old modification time. Cargo itself is
//! fooled by that in the same job; no later job may be.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::{
    Files, Runner, Step, Times, app_output, built, check_out, package, pair, project,
};

const LIBRARY: &str = "lib/src/lib.rs";
const PATCHED: &str = "pub const N: u32 = 9;\n";

/// Waits until new files get times later than any build so far.
fn a_while() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

fn copy_with_times(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-p")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A way to build contents that are reverted afterwards, given the checkout and a function that
/// builds it.
type Way = fn(&Path, &dyn Fn());

const WAYS: [(&str, Way); 3] = [
    ("a file that was moved away and back", |checkout, build| {
        let (file, aside) = (checkout.join(LIBRARY), checkout.join("lib/src/lib.rs.orig"));
        fs::rename(&file, &aside).unwrap();
        fs::write(&file, PATCHED).unwrap();
        build();
        fs::rename(&aside, &file).unwrap();
    }),
    (
        "a file that was copied back with its time",
        |checkout, build| {
            let (file, aside) = (checkout.join(LIBRARY), checkout.with_extension("orig"));
            copy_with_times(&file, &aside);
            fs::write(&file, PATCHED).unwrap();
            build();
            copy_with_times(&aside, &file);
        },
    ),
    (
        "a directory that was moved away and back",
        |checkout, build| {
            let (directory, aside) = (checkout.join("lib/src"), checkout.join("lib/aside"));
            fs::rename(&directory, &aside).unwrap();
            fs::create_dir(&directory).unwrap();
            fs::write(checkout.join(LIBRARY), PATCHED).unwrap();
            build();
            fs::remove_dir_all(&directory).unwrap();
            fs::rename(&aside, &directory).unwrap();
        },
    ),
];

#[test]
fn builds_of_reverted_sources_are_stale_in_the_next_job() {
    for (what, way) in WAYS {
        for is_restored in [false, true] {
            let what = format!(
                "{what}, {}",
                if is_restored {
                    "after a restore"
                } else {
                    "in a first job"
                }
            );
            let runner = Runner::new();
            let (files, step) = built(&runner);
            let checkout = step.checkout.clone();
            check_out(&files, &checkout, Times::Now);
            if is_restored {
                runner.restore(&step, "key");
            }
            a_while();
            way(&checkout, &|| {
                assert!(runner.build(&checkout).succeeded);
                assert_eq!(app_output(&checkout), "9\n", "{what}");
            });
            runner.save(&step, "key");

            check_out(&files, &checkout, Times::Now);
            runner.restore(&step, "key");
            runner
                .build(&checkout)
                .compiled_only(&["lib", "repo"], &what);
            assert_eq!(app_output(&checkout), "1\n", "{what}");
            runner.save(&step, "key");
            check_out(&files, &checkout, Times::Now);
            runner.restore(&step, "key");
            runner
                .build(&checkout)
                .compiled_only(&[], &format!("{what}: the job after that"));
        }
    }
}

#[test]
fn jobs_one_after_another_that_change_nothing_compile_nothing() {
    let runner = Runner::new();
    let (files, step) = built(&runner);
    for job in 0..3 {
        check_out(
            &files,
            &step.checkout,
            if job == 1 { Times::Old } else { Times::Now },
        );
        runner.restore(&step, "key");
        a_while();
        runner
            .build(&step.checkout)
            .compiled_only(&[], "nothing changed");
        // Something else changed, so that a new record is written.
        fs::write(step.checkout.join("target/report.txt"), job.to_string()).unwrap();
        runner.save(&step, "key");
    }
}

fn change_modes(directory: &Path) {
    let status = Command::new("chmod")
        .args(["-R", "go-w"])
        .arg(directory)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn files_touched_before_the_first_build_stay_fresh() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let step = Step::of(&checkout);
    let mut files = project();
    // The checkout of the first job has old times.
    check_out(&files, &checkout, Times::Old);
    assert!(runner.build(&checkout).succeeded);
    runner.save(&step, "key");
    for number in 2..5 {
        files.insert(
            "app/src/part.rs".into(),
            format!("pub const PART: u32 = {number};\n"),
        );
        check_out(&files, &checkout, Times::Now);
        runner.restore(&step, "key");
        a_while();
        change_modes(&checkout);
        runner
            .build(&checkout)
            .compiled_only(&["app"], "only that was changed");
        assert!(app_output(&checkout).starts_with(&number.to_string()));
        runner.save(&step, "key");
    }
}

#[test]
fn a_checkout_whose_mode_changes_after_the_build_is_built_again_once() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let step = Step::of(&checkout);
    let files = pair("lib", ".", "lib");
    check_out(&files, &checkout, Times::Now);
    assert!(runner.build(&checkout).succeeded);
    a_while();
    change_modes(&checkout);
    runner.save(&step, "key");
    check_out(&files, &checkout, Times::Now);
    runner.restore(&step, "key");
    runner
        .build(&checkout)
        .compiled_only(&["lib", "repo"], "its files were changed after the build");
    runner.save(&step, "key");
    check_out(&files, &checkout, Times::Now);
    runner.restore(&step, "key");
    runner
        .build(&checkout)
        .compiled_only(&[], "nobody changed them");
}

/// Two independent packages, of which the first watches a directory.
fn two() -> Files {
    let mut files = Files::new();
    let manifest = "[workspace]\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n";
    let script = "fn main() {\n    println!(\"cargo:rerun-if-changed=watched\");\n    \
                  let names = std::fs::read_dir(\"watched\").unwrap().count();\n    \
                  println!(\"cargo:rustc-env=NAMES={names}\");\n}\n";
    let main =
        "fn main() { println!(\"{} {}\", env!(\"NAMES\"), include_str!(\"../text.txt\")) }\n";
    package(
        &mut files,
        "one",
        manifest,
        &[
            ("build.rs", script),
            ("src/main.rs", main),
            ("text.txt", "text"),
            ("watched/here.txt", ""),
        ],
    );
    package(
        &mut files,
        "two",
        manifest,
        &[("src/main.rs", "fn main() { println!(\"two\") }\n")],
    );
    files
}

/// Saves both packages of [`two`] and runs a job with a step for each. Between the steps, the first
/// package is changed, built and reverted. Returns what is compiled of it then.
fn between_two_steps(change: &dyn Fn(&Path), back: &dyn Fn(&Path)) -> Vec<String> {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let (one, two_) = (checkout.join("one"), checkout.join("two"));
    let step = |workspace: &Path| Step {
        workspaces: vec![workspace.to_owned()],
        job: "run 1".to_owned(),
        ..Step::of(&checkout)
    };
    check_out(&two(), &checkout, Times::Now);
    for workspace in [&one, &two_] {
        assert!(runner.build(workspace).succeeded);
        runner.save(
            &Step {
                job: "run 0".to_owned(),
                ..step(workspace)
            },
            "key",
        );
    }
    check_out(&two(), &checkout, Times::Now);
    runner.restore(&step(&one), "key");
    a_while();
    change(&one);
    assert!(runner.build(&one).succeeded);
    back(&one);
    runner.restore(&step(&two_), "key");
    runner.build(&two_).compiled_only(&[], "nobody changed it");
    let built = runner.build(&one);
    assert!(built.succeeded, "{}", built.errors);
    assert_eq!(app_output(&one), runner.clean_app_output(&one));
    built.compiled.into_iter().collect()
}

#[test]
fn a_later_step_replays_no_time_of_a_file_that_a_build_in_between_saw_changed() {
    let write =
        |text: &'static str| move |one: &Path| fs::write(one.join("text.txt"), text).unwrap();
    assert_eq!(between_two_steps(&write("txet"), &write("text")), ["one"]);
    let added = |one: &Path| one.join("watched/added.txt");
    let compiled = between_two_steps(&|one| fs::write(added(one), "").unwrap(), &|one| {
        fs::remove_file(added(one)).unwrap();
    });
    assert_eq!(compiled, ["one"]);
    assert_eq!(between_two_steps(&|_| {}, &|_| {}), Vec::<String>::new());
}
