//! Random patterns ignore the same files as in git.

use std::fs;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Checkout, file_name, paths};

const FILES: [&str; 13] = [
    "a", "b.o", "ab/b", "ab/b.o", "ab/a/a", "ab/a/b", "b/a/b.o", "b/ab/a/b", "b/[a]", "b/ ",
    "b/!a", "b/#", "a b/a",
];

/// Pieces that mean something in a pattern.
const PIECES: [&str; 21] = [
    "a",
    "b",
    "ab",
    ".o",
    "/",
    "/",
    "*",
    "**",
    "?",
    "[ab]",
    "[!a]",
    "[^b",
    "[a-b]",
    "]",
    "\\",
    "!",
    "#",
    " ",
    "[[:alpha:]]",
    "**/",
    "/**",
];

/// A line made of a few pieces.
fn line() -> impl Strategy<Value = String> {
    let start = prop_oneof![3 => Just(""), 1 => Just("!"), 1 => Just("/"), 1 => Just("*")];
    let rest = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..5);
    (start, rest).prop_map(|(start, rest)| start.to_owned() + &rest.concat())
}

fn lines() -> impl Strategy<Value = String> {
    proptest::collection::vec(line(), 0..5).prop_map(|lines| lines.join("\n"))
}

#[test]
fn random_patterns_ignore_the_files_that_git_ignores() {
    let Some(checkout) = Checkout::new() else {
        return;
    };
    for name in FILES {
        checkout.write(name, "1");
    }
    fs::write(checkout.path().join(file_name(b"b/\xff")), "1").unwrap();
    checkout.git(&["add", "--force", "ab/a/b"]);
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(300)
    };
    let strategy = (lines(), lines(), lines());
    TestRunner::new(config)
        .run(&strategy, |(top, below, exclude)| {
            checkout.write(".gitignore", &top);
            checkout.write("ab/.gitignore", &below);
            checkout.write(".git/info/exclude", &exclude);
            prop_assert_eq!(paths(&checkout.list()), checkout.files_of_git());
            Ok(())
        })
        .unwrap();
}
