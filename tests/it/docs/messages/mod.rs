//! The tables of messages in docs/troubleshooting.md are those of the program.
//!
//! The messages come from the source. What to do about one is what stands after `; ` in it, or what
//! the program keeps beside it, or else what a person wrote into its row: a row whose first cell is
//! the whole message keeps its second one.

mod kinds;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use source::Message;

/// The tables, and the sources of their messages; the first matching prefix of a path counts.
const TABLES: [(&str, &[&str]); 9] = [
    ("site", &["src/site/"]),
    (
        "inputs",
        &["src/action/inputs/", "src/action/kind.rs", "src/glob/"],
    ),
    ("step", &["src/action/"]),
    ("cargo", &["src/cargo/", "src/git/", "src/job/cargo/"]),
    ("damage", &[]),
    (
        "store",
        &[
            "src/fs/",
            "src/job/",
            "src/ops/",
            "src/stats/",
            "src/store/",
            "src/tree/",
        ],
    ),
    ("remote", &["src/remote/"]),
    ("doctor", &["src/doctor/"]),
    ("commands", &["src/cli/", "src/demo/"]),
];

/// Files whose texts are not error messages: a project of the demo, and the reasons that `prune`
/// prints. The messages of the library's error are in [`kinds`].
const APART: [&str; 3] = [
    "src/demo/project/",
    "src/store/retention.rs",
    "src/error.rs",
];

/// A file in which every text is a message.
const MESSAGES: &str = "src/action/phase/messages.rs";

/// Parts of messages that look like a message.
const PARTS: [&str; 2] = ["… % used, … free…", "inspect"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources below a directory, in order.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let files = entries.into_iter().map(|path| {
        if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        }
    });
    files
        .flatten()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The messages of all tables, and the functions whose messages can not be found in the source.
fn messages() -> (BTreeMap<&'static str, Vec<Message>>, Vec<String>) {
    let mut tables: BTreeMap<&str, Vec<Message>> = BTreeMap::new();
    let mut trouble = Vec::new();
    for path in sources(&root().join("src")) {
        let file = path
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if APART.iter().any(|apart| file.starts_with(apart)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let said = if file == MESSAGES {
            source::read_all(&text)
        } else {
            source::read(&text)
        };
        let unseen =
            |function| format!("{file}, {function}: a message whose text is not in the call");
        trouble.extend(said.unseen.into_iter().map(unseen));
        let of =
            |(_, places): &&(&str, &[&str])| places.iter().any(|place| file.starts_with(place));
        let table = TABLES.iter().find(of).map(|(name, _)| *name);
        if table.is_none() && !said.messages.is_empty() {
            trouble.push(format!("{file}: its messages are in no table"));
        }
        for mut message in said.messages {
            if message.call == "SkipReason" {
                // A file that was skipped while saving.
                message.text = format!("… is not cached: {}", message.text);
            }
            match (message.call.as_str(), table) {
                // These contain what to do.
                ("defect", _) | (_, None) => {}
                (_, Some(_)) if PARTS.contains(&message.text.as_str()) => {}
                ("damaged" | "into_dirs" | "into_manifest", _) => {
                    tables.entry("damage").or_default().push(message);
                }
                (_, Some(table)) => tables.entry(table).or_default().push(message),
            }
        }
    }
    (tables, trouble)
}

/// A table with the current messages; `known` has the advice that people wrote into the rows of the
/// existing table.
fn table(messages: &[Message], known: &BTreeMap<String, String>) -> (String, Vec<String>) {
    let mut rows = BTreeMap::new();
    let mut unanswered = Vec::new();
    let mut order = Vec::new();
    for Message { text, advice, .. } in messages {
        // What begins with another message is whole.
        let parts = text.split_once("; ").filter(|(what, _)| what.contains(' '));
        let row = match (advice, known.get(text), parts) {
            (Some(advice), _, _) => (text.as_str(), advice.as_str()),
            (None, Some(written), _) => (text.as_str(), written.as_str()),
            (None, None, Some((what, advice))) if advice.contains(' ') => (what, advice),
            (None, None, _) => (text.as_str(), ""),
        };
        if row.1.is_empty() {
            unanswered.push(text.clone());
        }
        if rows.insert(row.0, row.1).is_none() {
            order.push(row.0);
        }
    }
    let mut table = String::from("| message | what to do |\n| --- | --- |\n");
    for what in order {
        writeln!(table, "| {} | {} |", escaped(what), escaped(rows[what])).unwrap();
    }
    (table.trim_end().to_owned(), unanswered)
}

fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|")
}

/// The rows of a table by their first cells.
fn rows(table: &str) -> BTreeMap<String, String> {
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.split_once(" | "));
    let plain = |cell: &str| cell.trim().replace("\\|", "|");
    cells
        .map(|(what, advice)| (plain(what), plain(advice)))
        .collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn troubleshooting_has_every_message_of_the_program_and_what_to_do() {
    let (mut messages, mut trouble) = messages();
    messages
        .entry("store")
        .or_default()
        .splice(0..0, kinds::errors());
    let document = root().join("docs/troubleshooting.md");
    let written = fs::read_to_string(&document).unwrap();
    let mut text = written.clone();
    for (name, _) in TABLES {
        let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&open).unwrap();
        let (found, after) = rest.split_once(&close).unwrap();
        let known = rows(found);
        let (wanted, unanswered) = match name {
            "damage" => (list(&messages[name]), Vec::new()),
            _ => table(&messages[name], &known),
        };
        trouble.extend(
            unanswered
                .into_iter()
                .map(|what| format!("{name}: write what to do about: {what}")),
        );
        if found.trim() != wanted {
            let missing = wanted
                .lines()
                .filter(|line| !found.contains(line))
                .collect::<Vec<_>>()
                .join("\n");
            trouble.push(format!("{name} is not up to date; it has not\n{missing}"));
            text = format!("{before}{open}\n{wanted}\n{close}{after}");
        }
    }
    if std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok() && text != written {
        fs::write(document, text).unwrap();
        trouble.retain(|line| !line.contains("is not up to date"));
    }
    assert!(
        trouble.is_empty(),
        "docs/troubleshooting.md: LOCAL_CACHE_TESTS_UPDATE=1 renews the tables, what to do is written into their rows\n{}",
        trouble.join("\n")
    );
}

/// What can be found of damage: the same is to be done about all of it.
fn list(messages: &[Message]) -> String {
    let reasons: BTreeSet<String> = messages
        .iter()
        .map(|message| format!("- {}", message.text))
        .collect();
    reasons.into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn every_name_that_marks_a_message_exists_in_the_source() {
    let code: String = sources(&root().join("src"))
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for name in source::MESSAGE_CALLS.iter().chain(&source::MESSAGE_TEXTS) {
        let is_defined = ["fn ", "enum ", "struct "]
            .iter()
            .any(|kind| code.contains(&format!("{kind}{name}")))
            || code.contains(&format!("    {name}("));
        assert!(
            is_defined,
            "{name} of tests/it/docs/messages/source.rs was renamed"
        );
    }
}

#[test]
fn a_message_is_found_wherever_it_is_made() {
    let said = source::read(
        r#"
        const ADVICE: &str = "do that";
        #[derive(Error)]
        enum Problem { #[error("no {0}; make one")] None(String) }
        fn work() {
            let line = format!("{x} is wrong, {{y}} too; turn it");
            monitor.warn(&line);
            open().map_err(|error| Error::invalid(format!("{error} at the door")))?;
            Finding::warning("disk", format!("{free} are free"), ADVICE);
            monitor.warn(&error.line());
            monitor.warn(&made_elsewhere());
        }
        #[cfg(test)]
        mod tests { fn test() { monitor.warn("not for people"); } }
        "#,
    );
    let texts: Vec<&str> = said
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "no …; make one",
            "… is wrong, {y} too; turn it",
            "… at the door",
            "… are free"
        ]
    );
    assert_eq!(said.messages[3].advice.as_deref(), Some("do that"));
    assert_eq!(said.unseen, ["work"]);
}

#[test]
fn what_people_wrote_about_a_message_stays() {
    let message = |text: &str| Message {
        text: text.to_owned(),
        advice: None,
        call: String::new(),
    };
    let known = rows("| a \\| b | ask |\n| no more; ever | wait |\n| gone | why |");
    let (table, unanswered) = table(
        &["a | b", "no more; ever", "turned off; turn it on", "new"].map(message),
        &known,
    );
    let expected =
        "| a \\| b | ask |\n| no more; ever | wait |\n| turned off | turn it on |\n| new |  |";
    assert_eq!(table.split_once("| --- | --- |\n").unwrap().1, expected);
    assert_eq!(unanswered, ["new"]);
}
