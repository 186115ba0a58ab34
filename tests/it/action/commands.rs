//! Workflow commands: what is written comes back as the runner reads it, and nothing else is a
//! command.

use local_cache::action::commands::{self, Annotation, plain};
use proptest::prelude::*;

#[derive(Debug, PartialEq)]
struct Command {
    name: String,
    properties: Vec<(String, String)>,
    data: String,
}

/// The command that the runner reads from a line, if any (actions/runner, ActionCommand.cs). This
/// runner knows every command.
fn as_the_runner_reads(line: &str) -> Option<Command> {
    colon_command(line).or_else(|| bracket_command(line))
}

fn colon_command(line: &str) -> Option<Command> {
    let info_and_data = line.trim_start().strip_prefix("::")?;
    let (info, data) = info_and_data.split_once("::")?;
    let (name, properties) = info.split_once(' ').unwrap_or((info, ""));
    let properties = properties
        .trim()
        .split(',')
        .filter_map(|property| property.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescape_property(value)))
        .collect();
    Some(Command {
        name: name.to_owned(),
        properties,
        data: unescape_data(data),
    })
}

fn bracket_command(line: &str) -> Option<Command> {
    let (_, rest) = line.split_once("##[")?;
    let (name, data) = rest.split_once(']')?;
    Some(Command {
        name: name.to_owned(),
        properties: Vec::new(),
        data: data.to_owned(),
    })
}

fn unescape_data(text: &str) -> String {
    text.replace("%0D", "\r")
        .replace("%0A", "\n")
        .replace("%25", "%")
}

fn unescape_property(text: &str) -> String {
    let text = text
        .replace("%0D", "\r")
        .replace("%0A", "\n")
        .replace("%3A", ":")
        .replace("%2C", ",");
    text.replace("%25", "%")
}

#[test]
fn commands_have_the_form_of_the_workflow_command_reference() {
    let annotation = Annotation {
        message: "m: 100%\r\n, x",
        title: Some("a:b,c%"),
    };
    for (line, expected) in [
        (
            commands::warning(&annotation),
            "::warning title=a%3Ab%2Cc%25::m: 100%25%0D%0A, x",
        ),
        (commands::error(&Annotation::new("bad")), "::error::bad"),
        (
            commands::error(&Annotation::new("n").title("t")),
            "::error title=t::n",
        ),
        (commands::debug("d"), "::debug::d"),
    ] {
        assert_eq!(line, expected);
    }
}

#[test]
fn an_empty_property_is_omitted() {
    assert_eq!(
        commands::error(&Annotation::new("n").title("")),
        "::error::n"
    );
}

#[test]
fn text_that_looks_like_a_command_is_printed_as_text() {
    for (text, expected) in [
        ("::warning::x", r"\::warning::x"),
        ("  ::add-mask::a", r"\  ::add-mask::a"),
        (
            "\u{3000}::set-env name=A::b",
            "\\\u{3000}::set-env name=A::b",
        ),
        ("x ##[error]y", r"x ##\[error]y"),
        ("###[add-path]y", r"###\[add-path]y"),
        ("##[##[a]", r"##\[##\[a]"),
        ("key\n::error::x", r"key\n::error::x"),
        ("key\r::error::x", r"key\r::error::x"),
        ("\n::error::x", r"\\n::error::x"),
        ("\u{1b}[2Jgone", r"\u{1b}[2Jgone"),
        ("##\u{8}[x]", r"##\u{8}[x]"),
        ("a\u{202e}b\u{2028}c\0", r"a\u{202e}b\u{2028}c\u{0}"),
    ] {
        assert_eq!(plain(text), expected, "{text:?}");
    }
}

#[test]
fn harmless_text_is_not_changed() {
    for text in [
        "",
        "Cache restored from key: Linux-cargo::x [1] ##",
        "a\tb",
        "🚀 👩\u{200d}💻 ä % , :",
        ": :",
    ] {
        assert!(
            matches!(plain(text), std::borrow::Cow::Borrowed(same) if same == text),
            "{text:?}"
        );
    }
}

/// Text made of the pieces that matter to the runner.
fn hostile() -> impl Strategy<Value = String> {
    "(?s:::|:|##\\[|#|\\[|\\]|%|%0A|%25|\n|\r|,|=| |\t|\u{a0}|\u{85}|warning|add-mask|\\\\|.){0,16}"
}

/// The title as the runner reads it: it trims the end of the last property before it unescapes it,
/// and there is no escape for a blank.
fn without_blank_end(title: &str) -> &str {
    title.trim_end_matches(|c: char| c.is_whitespace() && !matches!(c, '\r' | '\n'))
}

proptest! {
    #[test]
    fn plain_text_is_never_a_command(text in hostile()) {
        let safe = plain(&text);
        prop_assert_eq!(as_the_runner_reads(&safe), None);
        prop_assert!(!safe.contains(['\n', '\r']));
        prop_assert_eq!(plain(&safe), safe.as_ref(), "making it safe twice changes nothing");
    }

    #[test]
    fn plain_text_after_other_text_is_never_a_command(before in "[a-z: ]{0,4}", text in hostile()) {
        let line = format!("- {before}{}", plain(&text));
        prop_assert_eq!(as_the_runner_reads(&line), None);
    }

    #[test]
    fn the_runner_reads_an_annotation_unchanged(message in hostile(), title in hostile()) {
        let annotation = Annotation { message: &message, title: Some(&title) };
        let line = commands::warning(&annotation);
        prop_assert!(!line.contains(['\n', '\r']));
        let properties = if title.is_empty() {
            Vec::new()
        } else {
            vec![("title".to_owned(), without_blank_end(&title).to_owned())]
        };
        let expected = Command { name: "warning".to_owned(), properties, data: message };
        prop_assert_eq!(as_the_runner_reads(&line), Some(expected));
    }
}
