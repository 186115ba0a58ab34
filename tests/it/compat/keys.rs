//! Any text is a key of its own.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::machine::Machine;

/// Keys with a special meaning in file names, shells, logs or JSON, each with its name. They are
/// all in one store.
const KEYS: &[(&str, &str)] = &[
    ("slash", "Linux/cargo/1"),
    ("slash_at_the_start", "/etc/passwd"),
    ("parent", ".."),
    ("parents", "../../../../tmp/x"),
    ("dot", "."),
    ("parent_inside", "a/../b"),
    ("dash", "-rf"),
    ("dashes", "--help"),
    ("newline", "one\ntwo"),
    ("carriage_return", "one\rtwo"),
    ("tab", "one\ttwo"),
    ("blank_inside", "mdns tcp dns tokio"),
    ("pipe", "cache|linux|1"),
    ("semicolon", "a;b"),
    ("colon", "a:b"),
    ("underscore", "a_b"),
    ("dash_inside", "a-b"),
    ("dot_inside", "a.b"),
    ("two_underscores", "a__b"),
    ("question_mark", "a?b"),
    ("asterisk", "a*b"),
    ("brackets", "a[1]b"),
    ("percent", "100%25"),
    ("quotes", "a\"b'c`d"),
    ("backslash", "a\\b"),
    ("dollar", "$(touch /tmp/pwned)${HOME}"),
    (
        "command_line",
        "cargo test --all --all-features && cargo clippy -- -D warnings",
    ),
    ("parentheses", "v1 (release)"),
    ("workflow_command", "::set-output name=cache-hit::true"),
    ("old_workflow_command", "x##[error]y"),
    ("delimiter", "name<<EOF"),
    ("escape", "a\u{1b}[31mb"),
    ("emoji", "🦀🦀"),
    ("right_to_left", "a\u{202e}b"),
    ("composed", "caf\u{e9}"),
    ("decomposed", "cafe\u{301}"),
    ("upper_case", "CASE"),
    ("case_of_others", "Straße"),
    (
        "hexadecimal_like_an_entry",
        "0123456789abcdef-0123456789abcdef0123456789abcdef",
    ),
    ("json_like_an_entry", "0123456789abcdef.json"),
    ("device", "/dev/null"),
    ("windows_device", "CON"),
];

/// 512 units of UTF-16 in 1024 bytes.
fn longest() -> String {
    "🦀".repeat(256)
}

fn keys() -> Vec<(&'static str, String)> {
    let keys = KEYS.iter().map(|(name, key)| (*name, (*key).to_owned()));
    keys.chain([
        ("longest", longest()),
        ("longest_of_letters", "a".repeat(512)),
    ])
    .collect()
}

#[test]
fn every_unusual_key_is_saved_listed_and_found_among_all_others() {
    let machine = Machine::new();
    let job = machine.job();
    for (name, key) in keys() {
        job.file("data/file", name);
        job.saved("data", &key);
    }
    for (name, key) in keys() {
        let done = job
            .restore()
            .with("path", "data")
            .with("key", &key)
            .main()
            .passed();
        assert_eq!(
            (done.hit(), done.output("cache-matched-key")),
            ("true", &*key),
            "{name}"
        );
        assert_eq!(job.read("data/file").as_deref(), Some(name));
        // The verdict, the key, the size, and what was looked for.
        assert_eq!(done.log.lines().count(), 3 + 8, "{name}: {}", done.log);
        let commands = done
            .log
            .lines()
            .filter(|line| line.trim_start().starts_with("::") || line.contains("##["));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(
            commands,
            ["::group::what was looked for", "::endgroup::"],
            "{name}: {}",
            done.log
        );
    }
    let mut list = Command::new(env!("CARGO_BIN_EXE_local-cache"));
    let listed = list
        .arg("--cache-root")
        .arg(machine.store())
        .args(["list", "--json"])
        .output()
        .unwrap();
    let entries: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let listed = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["key"].as_str().unwrap().to_owned());
    assert_eq!(
        listed.collect::<BTreeSet<_>>(),
        keys().into_iter().map(|(_, key)| key).collect()
    );
    let made = fs::read_dir(machine.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(
        made.count(),
        4 + 1,
        "commands, home, store, work and one event file, nothing else"
    );
}

/// A key, a restore key of another step, and whether the restore key finds it.
macro_rules! prefixes {
    ($($name:ident: $key:expr, $prefix:expr, $found:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = machine.job();
            job.file("data/file", "1");
            job.saved("data", $key);
            assert_eq!(job.found("data", "nothing", $prefix).as_deref(), $found.then_some($key.trim()));
        })*
    };
}

prefixes! {
    a_prefix_that_ends_in_a_slash: "Linux/cargo/1", "Linux/cargo/", true;
    a_prefix_of_parents: "../../x", "../", true;
    a_prefix_that_is_a_pattern_is_no_pattern: "abc", "a*", false;
    a_prefix_that_is_an_expression_is_no_expression: "abc", "a.c", false;
    a_prefix_that_ends_in_the_middle_of_a_word: "Linux-binaries", "Linux-b", true;
    a_prefix_that_begins_with_a_dash: "-rf-1", "-rf", true;
    a_prefix_of_emoji: "🦀🦀-1", "🦀", true;
    a_prefix_of_a_key_with_blanks: "mdns tcp dns tokio", "mdns tcp", true;
    a_composed_letter_is_no_decomposed_one: "caf\u{e9}", "cafe\u{301}", false;
    a_prefix_in_another_case: "Linux-1", "linux-", false;
}

/// Two spellings of one key.
macro_rules! same {
    ($($name:ident: $one:expr, $other:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = machine.job();
            job.file("data/file", "1");
            let done = job.save().with("path", "data").with_yaml(concat!("key: ", $one)).main();
            done.passed().logs("Cache saved with key: ");
            let done = job.restore().with("path", "data").with_yaml(concat!("key: ", $other)).main();
            assert_eq!(done.hit(), "true", "{}", done.log);
        })*
    };
}

same! {
    a_literal_block_and_a_quoted_key: "|\n  Linux-1\n", "\"Linux-1\"";
    a_folded_block_and_a_plain_key: ">-\n  discourse\n  Linux\n", "discourse Linux";
    a_key_of_several_plain_lines_and_a_key_of_one: "Linux\n  -1", "Linux -1";
    a_key_with_blanks_around_it_and_one_without: "\"  Linux-1\\t\"", "Linux-1";
    a_key_with_a_byte_order_mark_and_one_without: "\"\\uFEFFLinux-1\"", "Linux-1";
    a_number_and_its_digits: "7", "'7'";
}
