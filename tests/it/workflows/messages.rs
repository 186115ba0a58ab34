//! The tables of messages in docs/troubleshooting.md are those of the program.

use std::fmt::Write as _;
use std::fs;

use super::files::root;

const TABLES: [(&str, &str); 2] = [("site", "src/site/problem.rs"), ("inputs", "src/action/inputs/error.rs")];

/// The formats of the errors in a source file, with `…` for what they fill in.
fn messages(source: &str) -> Vec<String> {
    let formats = source.split("#[error(").skip(1).filter_map(|rest| {
        let rest = rest.trim_start().strip_prefix('"')?;
        let mut message = String::new();
        let mut characters = rest.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => message.extend(characters.next()),
                '"' => break,
                '{' => {
                    characters.by_ref().find(|it| *it == '}');
                    message.push('…');
                }
                other => message.push(other),
            }
        }
        Some(message)
    });
    formats.collect()
}

fn table(source: &str) -> String {
    let mut table = String::from("| message | what to do |\n| --- | --- |\n");
    for message in messages(source) {
        let (what, advice) = message.split_once("; ").unwrap_or((&message, ""));
        writeln!(table, "| {} | {} |", what.replace('|', "\\|"), advice.replace('|', "\\|")).unwrap();
    }
    table.trim_end().to_owned()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn troubleshooting_has_every_message_about_the_site_and_the_inputs() {
    let document = root().join("docs/troubleshooting.md");
    let written = fs::read_to_string(&document).unwrap();
    let mut text = written.clone();
    for (name, file) in TABLES {
        let wanted = table(&fs::read_to_string(root().join(file)).unwrap());
        assert!(wanted.lines().count() > 5, "{wanted}");
        let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let (before, rest) = text.split_once(&open).unwrap();
        let (found, after) = rest.split_once(&close).unwrap();
        if found.trim() == wanted {
            continue;
        }
        assert!(
            std::env::var("LOCAL_CACHE_TESTS_UPDATE").is_ok(),
            "docs/troubleshooting.md, {name}: run the tests with LOCAL_CACHE_TESTS_UPDATE=1 to write\n{wanted}"
        );
        text = format!("{before}{open}\n{wanted}\n{close}{after}");
    }
    if text != written {
        fs::write(document, text).unwrap();
    }
}
