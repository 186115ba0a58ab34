//! `!` lines also exclude files inside a listed directory. This differs from actions/cache on
//! purpose, which lists the directory and then archives all of it.

use crate::support::machine::Machine;

const FILES: &[&str] = &[
    "target/app",
    "target/app.zip",
    "target/debug/app",
    "target/debug/app.zip",
    "target/debug/deps/lib",
    "target/debug/incremental/x",
    "target/doc/index",
    "target/tmp/keep",
    "target/tmp/other",
];

fn kept(path: &str) -> Vec<&'static str> {
    let machine = Machine::new();
    let job = machine.job();
    for name in FILES {
        job.file(name, name);
    }
    job.saved(path, "k");
    let later = machine.job();
    assert_eq!(later.found(path, "k", "").as_deref(), Some("k"));
    FILES
        .iter()
        .copied()
        .filter(|name| later.locate(name).exists())
        .collect()
}

fn check(path: &str, left_out: &[&str]) {
    let expected: Vec<&str> = FILES
        .iter()
        .copied()
        .filter(|name| !left_out.contains(name))
        .collect();
    assert_eq!(kept(path), expected);
}

/// A list of paths, and the files that it excludes.
macro_rules! exclusions {
    ($($name:ident: $path:expr => [$($left_out:expr),*];)*) => {
        $(#[test]
        fn $name() {
            check($path, &[$($left_out),*]);
        })*
    };
}

exclusions! {
    a_directory_without_exclusions_is_kept_whole: "target" => [];
    an_excluded_directory_inside_a_listed_one_is_left_out_unlike_upstream:
        "target\n!target/debug/incremental" => ["target/debug/incremental/x"];
    files_at_one_level: "./target\n!./target/*/*.zip" => ["target/debug/app.zip"];
    files_at_every_level: "target\n!target/**/*.zip" => ["target/app.zip", "target/debug/app.zip"];
    with_a_blank_after_the_mark: "target\n! target/tmp" => ["target/tmp/keep", "target/tmp/other"];
    with_an_indented_mark: "target\n  ! target/tmp" => ["target/tmp/keep", "target/tmp/other"];
    with_a_slash_at_the_end: "target\n!target/tmp/" => ["target/tmp/keep", "target/tmp/other"];
    re_included_below_an_exclusion: "target\n!target/tmp\ntarget/tmp/keep" => ["target/tmp/other"];
    an_exclusion_before_what_it_excludes_does_nothing: "!target/tmp\ntarget" => [];
    an_exclusion_of_something_else_does_nothing: "target\n!other/tmp" => [];
    two_marks_are_none: "target/doc\n!!target/tmp" => [
        "target/app", "target/app.zip", "target/debug/app", "target/debug/app.zip", "target/debug/deps/lib",
        "target/debug/incremental/x"
    ];
    what_upstream_does_leave_out: "target/*\n!target/tmp\n!target/doc"
        => ["target/doc/index", "target/tmp/keep", "target/tmp/other"];
    by_a_class: "target\n!target/[dt]*/[ao]*"
        => ["target/debug/app", "target/debug/app.zip", "target/tmp/other"];
}

#[test]
fn a_directory_without_included_files_is_not_created() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("target/tmp/x", "1");
    job.file("target/app", "1");
    job.saved("target\n!target/tmp", "k");
    let later = machine.job();
    later.found("target\n!target/tmp", "k", "");
    assert!(later.locate("target/app").exists() && !later.locate("target/tmp").exists());
}

#[test]
fn excluded_files_are_not_changed_by_a_restore() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("target/app", "1");
    job.file("target/tmp/x", "mine");
    job.saved("target\n!target/tmp", "k");
    job.file("target/app", "2");
    assert_eq!(
        job.found("target\n!target/tmp", "k", "").as_deref(),
        Some("k")
    );
    assert_eq!(job.read("target/app").as_deref(), Some("1"));
    assert_eq!(job.read("target/tmp/x").as_deref(), Some("mine"));
}

#[test]
fn excluded_files_are_not_removed_by_mirror() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("target/app", "1");
    job.saved("target\n!target/tmp", "k");
    job.file("target/tmp/x", "mine");
    let step = job
        .restore()
        .with("path", "target\n!target/tmp")
        .with("key", "k")
        .with("mirror", "true")
        .main();
    let step = step.passed().logs(
        "::warning title=local-cache::entries do not contain the files that `!` lines exclude",
    );
    assert_eq!(step.hit(), "true");
    assert_eq!(job.read("target/tmp/x").as_deref(), Some("mine"));
}
