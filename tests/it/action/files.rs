//! The runner's command files: the runner reads back exactly what was written.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

use std::fs;
use std::path::{Path, PathBuf};

use local_cache::action::event::EventError;
use local_cache::action::files::{SUMMARY_LIMIT, read_event};
use local_cache::action::{CommandFiles, Env, FileError};
use proptest::prelude::*;
use tempfile::TempDir;

/// Reads a file of records as the runner on Linux does (actions/runner, FileCommandManager.cs,
/// `EnvFileKeyValuePairs`).
pub(crate) fn as_the_runner_reads(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut rest = text;
    let mut pairs = Vec::new();
    while let Some((line, _)) = next_line(&mut rest) {
        if line.is_empty() {
            continue;
        }
        let heredoc = line.find("<<");
        match line.find('=') {
            Some(equals) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                let (name, value) = line.split_at(equals);
                pairs.push((name.to_owned(), value[1..].to_owned()));
            }
            _ => {
                let (name, delimiter) = line.split_once("<<").unwrap_or_default();
                if name.is_empty() || delimiter.is_empty() {
                    return Err(format!("invalid format {line:?}"));
                }
                pairs.push((name.to_owned(), heredoc_value(&mut rest, delimiter)?));
            }
        }
    }
    Ok(pairs)
}

fn heredoc_value(rest: &mut &str, delimiter: &str) -> Result<String, String> {
    let start = *rest;
    let mut end = 0;
    loop {
        match next_line(rest) {
            Some((line, _)) if line == delimiter => return Ok(start[..end].to_owned()),
            Some((_, true)) => end = start.len() - rest.len() - 1,
            Some((_, false)) => return Err("the last line has no end".to_owned()),
            None => return Err(format!("no delimiter {delimiter:?}")),
        }
    }
}

/// The next line and whether it had an end.
fn next_line<'t>(rest: &mut &'t str) -> Option<(&'t str, bool)> {
    if rest.is_empty() {
        return None;
    }
    let (line, after, ended) = match rest.split_once('\n') {
        Some((line, after)) => (line, after, true),
        None => (*rest, "", false),
    };
    *rest = after;
    Some((line, ended))
}

/// The files, empty, as the runner makes them before a phase.
fn runner_files() -> (TempDir, CommandFiles) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = directory.path().join(name);
        fs::write(&path, "").unwrap();
        Some(path)
    };
    let files = CommandFiles {
        output: file("output"),
        state: file("state"),
        summary: file("summary"),
    };
    (directory, files)
}

fn read(path: Option<&PathBuf>) -> String {
    fs::read_to_string(path.unwrap()).unwrap()
}

#[test]
fn each_kind_of_record_goes_to_its_own_file() {
    let (_directory, files) = runner_files();
    files.set_output("cache-hit", "true").unwrap();
    files.save_state("KEY", "k").unwrap();
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(
        as_the_runner_reads(&read(files.output.as_ref())),
        Ok(pair("cache-hit", "true"))
    );
    assert_eq!(
        as_the_runner_reads(&read(files.state.as_ref())),
        Ok(pair("KEY", "k"))
    );
    assert_eq!(read(files.summary.as_ref()), "");
}

#[test]
fn unusual_values_are_read_back_unchanged() {
    let (_directory, files) = runner_files();
    let values = [
        "",
        "\n",
        "\n\n",
        "a\n",
        "\r",
        "a\r\n",
        "a\r\nb",
        "=",
        "x<<y",
        "x<<EOF\nevil\nEOF",
        "ghadelimiter_",
        "name=value",
        "%0A",
        "🦀\u{feff}\u{2028}",
        "\0",
        " spaces ",
    ];
    for value in values {
        files.set_output("v", value).unwrap();
    }
    let found = as_the_runner_reads(&read(files.output.as_ref())).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>(),
        values
    );
}

proptest! {
    #[test]
    fn any_sequence_of_values_is_read_back_unchanged(
        values in prop::collection::vec("(?s:.|\n|\r\n|\r|=|<<|ghadelimiter_|name<<EOF\n){0,24}", 0..6)
    ) {
        let (_directory, files) = runner_files();
        for (number, value) in values.iter().enumerate() {
            files.save_state(&format!("value-{number}"), value).unwrap();
        }
        let expected: Vec<_> =
            values.iter().enumerate().map(|(n, value)| (format!("value-{n}"), value.clone())).collect();
        prop_assert_eq!(as_the_runner_reads(&read(files.state.as_ref())), Ok(expected));
    }
}

#[test]
fn a_name_that_would_become_another_record_is_refused_and_nothing_is_written() {
    let (_directory, files) = runner_files();
    for name in ["a=b", "a\nb", "a<<b", ""] {
        assert!(
            matches!(files.set_output(name, "v"), Err(FileError::Name(_))),
            "{name:?}"
        );
    }
    assert_eq!(read(files.output.as_ref()), "");
}

#[test]
fn records_of_threads_do_not_mix() {
    let (_directory, files) = runner_files();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let files = &files;
            scope.spawn(move || {
                for number in 0..25 {
                    let value = format!("{thread}-{number}\n").repeat(500);
                    files
                        .set_output(&format!("n-{thread}-{number}"), &value)
                        .unwrap();
                }
            });
        }
    });
    let found = as_the_runner_reads(&read(files.output.as_ref())).unwrap();
    assert_eq!(found.len(), 100);
    for (name, value) in found {
        assert_eq!(value, format!("{}\n", &name[2..]).repeat(500));
    }
}

#[test]
fn a_file_the_runner_does_not_name_is_an_error_that_says_so() {
    let error = CommandFiles::default()
        .set_output("cache-hit", "true")
        .unwrap_err();
    assert!(matches!(
        error,
        FileError::Unset {
            variable: "GITHUB_OUTPUT",
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "GITHUB_OUTPUT is not set, so output cache-hit is not written; update the runner"
    );
}

#[test]
fn a_missing_file_is_an_error_and_is_not_created() {
    let (directory, files) = runner_files();
    let elsewhere = files.map_paths(|path| path.with_extension("gone"));
    for result in [
        elsewhere.set_output("a", "b"),
        elsewhere.save_state("a", "b"),
        elsewhere.append_summary("text"),
    ] {
        assert!(
            matches!(result, Err(FileError::Missing { .. })),
            "{result:?}"
        );
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    assert!(
        elsewhere
            .save_state("a", "b")
            .unwrap_err()
            .to_string()
            .starts_with("GITHUB_STATE names /")
    );
}

#[test]
fn other_failures_name_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let files = CommandFiles {
        state: Some(directory.path().to_owned()),
        ..CommandFiles::default()
    };
    let error = files.save_state("a", "b").unwrap_err();
    assert!(matches!(error, FileError::Write { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!(
        "write state a to {}: ",
        directory.path().display()
    )));
}

#[test]
fn what_a_file_already_holds_is_kept() {
    let (_directory, files) = runner_files();
    fs::write(files.output.as_ref().unwrap(), "first=1\n").unwrap();
    files.set_output("second", "2").unwrap();
    let found = as_the_runner_reads(&read(files.output.as_ref())).unwrap();
    assert_eq!(
        found,
        [
            ("first".to_owned(), "1".to_owned()),
            ("second".to_owned(), "2".to_owned())
        ]
    );
}

#[test]
fn the_summary_is_appended_line_by_line() {
    let (_directory, files) = runner_files();
    files.append_summary("# One").unwrap();
    files.append_summary("Two\n").unwrap();
    assert_eq!(read(files.summary.as_ref()), "# One\nTwo\n");
}

#[test]
fn a_summary_that_the_runner_would_drop_is_not_written() {
    let (_directory, files) = runner_files();
    let fits = "x".repeat(usize::try_from(SUMMARY_LIMIT).unwrap() - 1);
    files.append_summary(&fits).unwrap();
    let error = files.append_summary("y").unwrap_err();
    assert!(
        matches!(error, FileError::SummaryTooLarge { size } if size == SUMMARY_LIMIT + 2),
        "{error:?}"
    );
    assert_eq!(read(files.summary.as_ref()).len() as u64, SUMMARY_LIMIT);
}

#[test]
fn paths_come_from_the_environment_and_empty_ones_are_none() {
    let env = Env::from_iter([
        ("GITHUB_OUTPUT", "/o"),
        ("GITHUB_STATE", "/s"),
        ("GITHUB_STEP_SUMMARY", ""),
    ]);
    let expected = CommandFiles {
        output: Some("/o".into()),
        state: Some("/s".into()),
        summary: None,
    };
    assert_eq!(CommandFiles::from_env(&env), expected);
}

#[test]
fn an_unusable_event_file_is_a_typed_error() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("event.json");
    fs::write(&garbage, "{\"truncated\": ").unwrap();
    assert!(matches!(read_event(None), Err(EventError::Unset)));
    assert!(matches!(
        read_event(Some(Path::new("/nonexistent/event.json"))),
        Err(EventError::Read { .. })
    ));
    assert!(matches!(
        read_event(Some(&garbage)),
        Err(EventError::Parse(_))
    ));
    fs::write(&garbage, r#"{"repository": {"default_branch": "trunk"}}"#).unwrap();
    assert_eq!(
        read_event(Some(&garbage))
            .unwrap()
            .default_branch
            .as_deref(),
        Some("trunk")
    );
}
