//! The list of commands in `local-cache help`, in groups.

use std::fmt::Write as _;

/// The groups, each with its commands. The tests check that each command is in one.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Use the cache", &["cargo", "restore", "save", "key"]),
    ("See what it does", &["list", "show", "stats", "report"]),
    (
        "Keep it in order",
        &["doctor", "verify", "prune", "rm", "remote", "import"],
    ),
    ("Work with patterns", &["paths", "hash-files"]),
    ("Learn and set up", &["demo", "completions", "man"]),
];

/// Puts the groups in the place of the flat list of commands.
pub(super) fn with_groups(command: clap::Command) -> clap::Command {
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\
         Options:\n{{options}}{{after-help}}",
        groups(&command)
    );
    command.help_template(template)
}

fn groups(command: &clap::Command) -> String {
    let (header, literal) = {
        let styles = command.get_styles();
        (*styles.get_header(), *styles.get_literal())
    };
    let mut text = String::new();
    for (title, names) in GROUPS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{header}{title}:{header:#}");
        for name in names {
            // `remote` depends on a feature.
            let Some(subcommand) = command.find_subcommand(name) else {
                continue;
            };
            let about = subcommand.get_about();
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {literal}{name:<12}{literal:#} {about}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::args::Arguments;
    use super::*;

    #[test]
    fn every_command_that_people_use_is_in_one_group() {
        let command = Arguments::command();
        let mut grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .filter(|name| cfg!(feature = "remote") || *name != "remote")
            .collect();
        let commands = command.get_subcommands().filter(|it| !it.is_hide_set());
        let mut commands: Vec<&str> = commands.map(|it| it.get_name()).collect();
        grouped.sort_unstable();
        commands.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn the_help_shows_the_groups_and_not_the_phases_of_the_action() {
        let help = with_groups(Arguments::command()).render_help().to_string();
        for text in [
            "Usage: local-cache",
            "Keep it in order:\n  doctor       Check",
            "  rm           Remove entries",
            "--cache-root <DIR>",
        ] {
            assert!(help.contains(text), "{text:?} is not in\n{help}");
        }
        assert!(!help.contains("  action"), "{help}");
    }
}
