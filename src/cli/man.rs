//! Man pages: one for the program and one for each command, generated from their arguments.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use roff::{Roff, bold, roman};
use serde_json::json;

use super::context::CommandContext;
use super::exit::Exit;
use crate::fmt::human::plural;
use crate::fs::files;

/// Print a man page
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  local-cache man | man -l -\n  local-cache man cargo restore | man -l -\n  local-cache man --dir ~/.local/share/man/man1"
)]
pub(super) struct ManArgs {
    /// Command to print the page of [default: the program itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(super) fn man(
    context: &mut CommandContext<'_>,
    args: &ManArgs,
    command: clap::Command,
) -> Result<Exit> {
    let pages = pages(named(command, "local-cache"));
    if let Some(dir) = &args.dir {
        let dir = context.base.working_directory.join(dir);
        return write_all(context, &pages, &dir);
    }
    let name = [&["local-cache".to_owned()], args.command.as_slice()]
        .concat()
        .join("-");
    let page = pages.iter().find(|page| page.get_name() == name);
    let page = page.ok_or_else(|| {
        anyhow!(
            "no command {}; `local-cache help` lists all",
            args.command.join(" ")
        )
    })?;
    context.write(&render(page)?)?;
    Ok(Exit::Done)
}

fn write_all(
    context: &mut CommandContext<'_>,
    pages: &[clap::Command],
    dir: &Path,
) -> Result<Exit> {
    files::create_dir_all(dir)?;
    let mut written = Vec::new();
    for page in pages {
        let path = dir.join(format!("{}.1", page.get_name()));
        files::write_atomically(&path, &render(page)?)?;
        written.push(path.display().to_string());
    }
    let text = format!(
        "✅ wrote {} to {}\n",
        plural(written.len() as u64, "page", "pages"),
        dir.display()
    );
    context.print(&text, &json!({ "files": written }))?;
    Ok(Exit::Done)
}

/// The command and all commands below it, each under the name of its page.
fn pages(mut command: clap::Command) -> Vec<clap::Command> {
    command.build();
    let mut pages = vec![command.clone()];
    for below in command.get_subcommands() {
        if below.is_hide_set() || below.get_name() == "help" {
            continue;
        }
        let name = format!("{}-{}", command.get_name(), below.get_name());
        pages.extend(self::pages(named(below.clone(), &name)));
    }
    pages
}

fn named(command: clap::Command, name: &str) -> clap::Command {
    command.name(name.to_owned()).display_name(name.to_owned())
}

fn render(command: &clap::Command) -> Result<Vec<u8>> {
    let (notes, examples) = notes_and_examples(command);
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    let mut write = || {
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        text_section("NOTES", &notes).to_writer(&mut page)?;
        man.render_options_section(&mut page)?;
        if command.get_subcommands().any(|it| !it.is_hide_set()) {
            man.render_subcommands_section(&mut page)?;
        }
        list_section("EXIT STATUS", &EXIT_CODES).to_writer(&mut page)?;
        list_section("ENVIRONMENT", &VARIABLES).to_writer(&mut page)?;
        examples_section(&examples).to_writer(&mut page)
    };
    write().context("cannot generate the page")?;
    Ok(page)
}

/// The exit codes, as in [`Exit`].
const EXIT_CODES: [(&str, &str); 4] = [
    ("0", "The command did what it was asked to do."),
    (
        "1",
        "The command failed; standard error says why and what to do.",
    ),
    ("2", "The command line is wrong."),
    (
        "3",
        "No entry was found, and --fail-on-cache-miss was given.",
    ),
];

const VARIABLES: [(&str, &str); 6] = [
    (
        "LOCAL_CACHE_ROOT",
        "Directory of the store, if --cache-root is not given.",
    ),
    (
        "LOCAL_CACHE_LOG",
        "Which diagnostics are printed: error, warn (the default), info, debug or trace.",
    ),
    (
        "GITHUB_REPOSITORY, GITHUB_REF, GITHUB_JOB",
        "In a job: whose entries are used, unless --repository, --ref and --job are given.",
    ),
    (
        "CARGO_HOME, RUSTUP_HOME",
        "Directories of cargo and rustup.",
    ),
    (
        "NO_COLOR, CLICOLOR, CLICOLOR_FORCE",
        "Whether the output has colours.",
    ),
    ("TERM", "If it is dumb, no progress is shown."),
];

/// The text after the options, and the examples.
fn notes_and_examples(command: &clap::Command) -> (String, Vec<String>) {
    let text = command.get_after_help().map(ToString::to_string);
    let text = text.unwrap_or_default();
    let start = ["Examples:\n", "Example:\n"]
        .iter()
        .find_map(|heading| Some((text.find(heading)?, heading.len())));
    let Some((at, length)) = start else {
        return (text, Vec::new());
    };
    let examples = text[at + length..]
        .lines()
        .map(|line| line.trim().to_owned());
    (text[..at].trim().to_owned(), examples.collect())
}

fn text_section(title: &str, text: &str) -> Roff {
    let mut section = Roff::new();
    if !text.is_empty() {
        section.control("SH", [title]).text([roman(text)]);
    }
    section
}

fn list_section(title: &str, items: &[(&str, &str)]) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title]);
    for (name, text) in items {
        section
            .control("TP", [])
            .text([bold(*name)])
            .text([roman(*text)]);
    }
    section
}

fn examples_section(examples: &[String]) -> Roff {
    let mut section = Roff::new();
    if !examples.is_empty() {
        section.control("SH", ["EXAMPLES"]).control("nf", []);
        for example in examples {
            section.text([roman(example.as_str())]);
        }
        section.control("fi", []);
    }
    section
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::args::Arguments;
    use super::*;

    fn all() -> Vec<clap::Command> {
        pages(named(Arguments::command(), "local-cache"))
    }

    #[test]
    fn every_command_has_a_page_with_options_exit_codes_and_examples() {
        for page in all() {
            let text = String::from_utf8(render(&page).unwrap()).unwrap();
            let name = page.get_name();
            for part in [
                "SH NAME",
                "SH SYNOPSIS",
                "SH OPTIONS",
                "cache\\-root",
                "SH ENVIRONMENT",
            ] {
                assert!(text.contains(part), "{name}: {part} is not in\n{text}");
            }
            assert!(text.contains("SH \"EXIT STATUS\""), "{name}: {text}");
            let has_commands = page.get_subcommands().next().is_some();
            assert!(
                has_commands || text.contains("SH EXAMPLES"),
                "{name} has no examples"
            );
        }
    }

    #[test]
    fn pages_have_the_names_of_their_commands() {
        let names: Vec<String> = all().iter().map(|it| it.get_name().to_owned()).collect();
        for name in ["local-cache", "local-cache-rm", "local-cache-cargo-restore"] {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }
        let is_action = |name: &String| name.contains("action") || name.contains("help");
        assert!(!names.iter().any(is_action), "{names:?}");
    }

    #[test]
    fn the_exit_codes_are_those_of_the_program() {
        let codes = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Miss];
        for (code, (number, _)) in codes.iter().zip(EXIT_CODES) {
            assert_eq!((*code as u8).to_string(), number);
        }
    }
}
