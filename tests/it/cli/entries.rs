//! Commands about the entries of several repositories: `list`, `show`, `rm`, `prune` and `restore --to`.

use std::fs;
use std::path::PathBuf;

use local_cache::cli::{self, Environment, Exit, Terminal};
use local_cache::fmt::screen::Screen;
use local_cache::{Env, Store};
use serde_json::Value;

use super::run;
use crate::support::machine::{Job, Machine};

/// A store with entries of two repositories, two branches and a pull request.
fn machine() -> Machine {
    let machine = Machine::new();
    save(&machine.job(), "data", "k1", 3_000_000);
    save(&machine.job().push("topic"), "data", "k1", 10);
    save(&machine.job().repository("acme/lib"), "other", "k2", 20);
    save(
        &machine.job().pull_request(7, "acme/widget", "main"),
        "data",
        "linux-deps-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        30,
    );
    machine
}

fn save(job: &Job<'_>, path: &str, key: &str, bytes: usize) {
    job.file(&format!("{path}/file"), &"x".repeat(bytes));
    job.saved(path, key);
}

/// The keys that `list` shows with these arguments.
fn listed(machine: &Machine, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["list", "--json"], arguments].concat();
    let json = run(machine, &arguments).succeeded().json();
    let keys = json.as_array().unwrap().iter();
    keys.map(|entry| entry["key"].as_str().unwrap()[..2].to_owned())
        .collect()
}

/// The short id of the first entry that `list` shows with these arguments.
fn short_id(machine: &Machine, arguments: &[&str]) -> String {
    let text = run(machine, &[&["list"], arguments].concat()).succeeded();
    let line = text.stdout.lines().nth(1).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

/// Runs a command on a terminal of a width, on which somebody gives an answer.
fn on_terminal(
    machine: &Machine,
    arguments: &[&str],
    width: usize,
    answer: &str,
) -> (Exit, String) {
    let mut all: Vec<_> = ["local-cache"]
        .iter()
        .chain(arguments)
        .map(Into::into)
        .collect();
    all.extend(["--cache-root".into(), machine.store().into_os_string()]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(Environment {
        arguments: all,
        env: &Env::from_iter([("HOME", machine.home().into_os_string())]),
        working_directory: machine.path(""),
        terminal: Terminal {
            can_ask: true,
            output: Screen {
                width: Some(width),
                color: false,
            },
            ..Terminal::default()
        },
        input: &mut answer.as_bytes(),
        out: &mut out,
        err: &mut err,
    });
    (exit, String::from_utf8([out, err].concat()).unwrap())
}

#[test]
fn a_list_tells_repositories_branches_and_sizes_apart() {
    let machine = machine();
    let text = run(&machine, &["list"]).succeeded().stdout;
    let lines: Vec<&str> = text.lines().collect();
    let words =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    assert_eq!(
        words(lines[0]),
        [
            "entry",
            "repository",
            "branch",
            "kind",
            "size",
            "disk",
            "saved",
            "used",
            "key"
        ]
    );
    for (repository, branch, key) in [
        ("acme/widget", "main", "k1"),
        ("acme/widget", "topic", "k1"),
        ("acme/lib", "main", "k2"),
        ("acme/widget", "pull/7", "linux-deps"),
    ] {
        let is_shown = |line: &&&str| {
            let words = words(line);
            words.len() > 3
                && words[1] == repository
                && words[2] == branch
                && words.last().unwrap().starts_with(key)
        };
        assert_eq!(lines.iter().filter(is_shown).count(), 1, "{text}");
    }
    let total = lines.last().unwrap();
    assert!(
        total.starts_with("4 entries, 3.0 MB; ") && total.contains(" on disk: acme/widget 3."),
        "{total}"
    );
}

#[test]
fn filters_and_orders_select_entries() {
    let machine = machine();
    assert_eq!(listed(&machine, &["--repository", "acme/lib"]), ["k2"]);
    assert_eq!(listed(&machine, &["--ref", "pull/7"]), ["li"]);
    assert_eq!(listed(&machine, &["--ref", "refs/heads/topic"]), ["k1"]);
    assert!(listed(&machine, &["--kind", "target"]).is_empty());
    assert_eq!(
        listed(&machine, &["--kind", "target", "--kind", "path"]).len(),
        4
    );
    assert_eq!(
        listed(&machine, &["--sort", "size"]),
        ["k1", "li", "k2", "k1"]
    );
    assert_eq!(
        listed(&machine, &["--sort", "key", "--limit", "3"]),
        ["k1", "k1", "k2"]
    );
    let disk = run(&machine, &["list", "--json", "--sort", "disk"])
        .succeeded()
        .json();
    assert!(
        disk[0]["disk-bytes"].as_u64().unwrap() >= 3_000_000,
        "{disk:#}"
    );
    let cut = run(&machine, &["list", "--limit", "1"]).succeeded().stdout;
    assert!(cut.contains("the first 1 of 4 entries"), "{cut}");
    let none = run(&machine, &["list", "--ref", "no-such"])
        .succeeded()
        .stdout;
    assert!(none.contains("no entry is selected"), "{none}");
    run(&machine, &["list", "--kind", "crates"]).exited(2);
    assert_eq!(run(&machine, &["ls"]).succeeded().stdout.lines().count(), 7);
}

#[test]
fn a_list_fits_the_terminal() {
    let machine = machine();
    let (_, wide) = on_terminal(&machine, &["list"], 400, "");
    assert!(
        wide.contains("0123456789abcdef0123456789abcdef\n"),
        "{wide}"
    );
    let (_, narrow) = on_terminal(&machine, &["list"], 90, "");
    let table = narrow.split("\n\n").next().unwrap();
    assert!(
        table.lines().all(|line| line.chars().count() <= 90),
        "{narrow}"
    );
    assert!(
        narrow.contains("linux-") && narrow.contains('…'),
        "{narrow}"
    );
}

#[test]
fn an_entry_is_removed_by_its_short_id_and_the_others_stay() {
    let machine = machine();
    let id = short_id(&machine, &["--ref", "topic"]);
    let ran = run(&machine, &["rm", &id, "--dry-run"]).succeeded();
    assert!(ran.stdout.contains("1 entry would be removed"), "{ran:#?}");
    assert_eq!(machine.entries(), 4);
    let removed = run(&machine, &["rm", &id, "--json"]).succeeded().json();
    assert_eq!(removed["entries"][0]["ref"], "refs/heads/topic");
    assert!(removed["freed-bytes"].as_u64().unwrap() > 0);
    assert_eq!(machine.entries(), 3);
    assert!(listed(&machine, &["--ref", "topic"]).is_empty());
    let line = run(&machine, &["rm", &id]).failed(1);
    assert!(line.contains("`local-cache list` shows all"), "{line}");
    run(&machine, &["verify"]).succeeded();
}

#[test]
fn more_than_was_named_is_removed_only_on_demand() {
    let machine = machine();
    let line = run(&machine, &["rm", "k1"]).failed(2);
    assert!(
        line.contains("remove 2 entries?") && line.contains("--yes"),
        "{line}"
    );
    run(&machine, &["rm", "--repository", "acme/widget"]).failed(2);
    let line = run(&machine, &["rm"]).failed(2);
    assert!(line.contains("name an entry"), "{line}");
    assert_eq!(machine.entries(), 4);
    run(&machine, &["rm", "k1", "--ref", "main"]).succeeded();
    run(&machine, &["rm", "--repository", "ACME/widget", "--yes"]).succeeded();
    assert_eq!(listed(&machine, &[]), ["k2"]);
}

#[test]
fn on_a_terminal_the_answer_decides() {
    let machine = machine();
    let (exit, text) = on_terminal(&machine, &["rm", "k2"], 100, "n\n");
    assert!(
        exit == Exit::Failed && text.contains("nothing was removed"),
        "{text}"
    );
    assert!(
        text.contains("acme/lib") && text.contains("remove 1 entry? [y/N]"),
        "{text}"
    );
    let (exit, _) = on_terminal(&machine, &["prune", "--keep", "0"], 100, "\n");
    assert_eq!((exit, machine.entries()), (Exit::Failed, 4));
    let (exit, text) = on_terminal(&machine, &["rm", "k2"], 100, "y\n");
    assert_eq!((exit, machine.entries()), (Exit::Done, 3), "{text}");
    let (exit, _) = on_terminal(&machine, &["prune", "--keep", "0"], 100, "yes\n");
    assert_eq!((exit, machine.entries()), (Exit::Done, 0));
}

#[test]
fn limits_of_zero_remove_everything_only_on_demand() {
    let machine = machine();
    for limit in [
        ["--keep", "0"],
        ["--keep", "path=0"],
        ["--max-age", "0s"],
        ["--max-size", "0"],
    ] {
        let line = run(&machine, &[&["prune"], &limit[..]].concat()).failed(2);
        assert!(line.contains("remove all entries"), "{limit:?}: {line}");
        run(&machine, &[&["prune", "--dry-run"], &limit[..]].concat()).succeeded();
    }
    assert_eq!(machine.entries(), 4);
    run(&machine, &["prune", "--keep", "0", "--yes"]).succeeded();
    assert_eq!(machine.entries(), 0);
}

#[test]
fn a_dry_run_says_what_would_go_and_how_much_it_frees() {
    let machine = machine();
    let prune = ["prune", "--keep", "0", "--json"];
    let planned = run(&machine, &[&prune[..], &["--dry-run"]].concat());
    let planned = planned.succeeded().json();
    assert_eq!(planned["evicted-entries"], 4);
    assert_eq!(planned["decisions"][0]["kind"], "path");
    let scopes = planned["decisions"].as_array().unwrap().iter();
    assert!(scopes.clone().any(|it| it["scope"] == "acme/lib"));
    let text = run(&machine, &["prune", "--keep", "0", "--dry-run"]).succeeded();
    assert!(
        text.stdout.contains("acme/widget") && text.stdout.contains("which frees 3."),
        "{text:#?}"
    );
    let done = run(&machine, &[&prune[..], &["--yes"]].concat())
        .succeeded()
        .json();
    // Marks of use and the like are freed, too.
    let bytes = |value: &Value| value.as_u64().unwrap();
    let (planned, freed) = (
        bytes(&planned["evicted-bytes"]),
        bytes(&done["freed-bytes"]),
    );
    assert!((3_000_000..=freed).contains(&planned), "{planned} {freed}");
}

#[test]
fn one_entry_of_several_with_a_key_is_shown() {
    let machine = machine();
    let line = run(&machine, &["show", "k1"]).failed(1);
    assert!(
        line.contains("2 entries match k1; name one of them"),
        "{line}"
    );
    let shown = run(&machine, &["show", "k1", "--ref", "topic"])
        .succeeded()
        .stdout;
    assert!(shown.contains("refs/heads/topic"), "{shown}");
    let id = short_id(&machine, &["--ref", "main", "--repository", "acme/widget"]);
    let shown = run(&machine, &["show", &id]).succeeded().stdout;
    assert!(shown.contains("3000000  data/file"), "{shown}");
}

#[test]
fn an_entry_is_written_to_another_directory_to_look_into_it() {
    let machine = machine();
    let used = |machine: &Machine| -> Value {
        let listed = run(machine, &["list", "--json", "--ref", "topic"]);
        listed.succeeded().json()[0]["last-used"].clone()
    };
    let entry = fs::read_dir(machine.store().join("local-cache-v1/used"));
    let before = (used(&machine), entry.map_or(0, Iterator::count));
    let id = short_id(&machine, &["--ref", "topic"]);
    let look = |to: &str| run(&machine, &["restore", "--entry", &id, "--to", to, "--json"]);
    let looked = look("look").succeeded().json();
    assert_eq!(looked["written-files"], 1);
    let written: PathBuf = machine.path("look/data/file");
    assert_eq!(fs::read(written).unwrap(), [b'x'; 10]);
    assert!(!machine.path("data").exists());
    let entry = fs::read_dir(machine.store().join("local-cache-v1/used"));
    assert_eq!(before, (used(&machine), entry.map_or(0, Iterator::count)));
    let line = look("look").failed(1);
    assert!(
        line.contains("is not empty; name a new directory"),
        "{line}"
    );
    for wrong in [
        &["restore", "--to", "x"][..],
        &["restore", "--to", "x", "--key", "k", "data"],
        &["restore", "--entry", &id],
        &["restore", "--entry", &id, "--to", "x", "--key", "k"],
        &["restore", "--entry", &id, "--to", "x", "data"],
    ] {
        run(&machine, wrong).exited(2);
    }
}

#[test]
fn a_ready_copy_stays_in_the_store_when_somebody_looks() {
    let machine = Machine::new();
    let tree = machine.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "contents").unwrap();
    run(&machine, &["save", "--move", "--key", "k", "tree"]).succeeded();
    let copies = || {
        let store = Store::open(&machine.store()).unwrap().unwrap();
        store.ready_copies().unwrap().len()
    };
    assert_eq!(copies(), 1);
    run(&machine, &["restore", "--entry", "k", "--to", "look"]).succeeded();
    assert_eq!(copies(), 1);
    assert_eq!(
        fs::read(machine.path("look/tree/file")).unwrap(),
        b"contents"
    );
}

#[test]
fn names_are_printed_for_completions() {
    let machine = machine();
    let names = run(&machine, &["list", "--names"]).succeeded().stdout;
    let names: Vec<&str> = names.lines().collect();
    assert_eq!(names.len(), 4 + 3, "{names:?}");
    assert!(names.contains(&"k1") && names.contains(&"k2"), "{names:?}");
    assert!(
        names.contains(&short_id(&machine, &["--ref", "topic"]).as_str()),
        "{names:?}"
    );
}

#[test]
fn bash_completes_keys_and_ids() {
    let machine = machine();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_local-cache"));
    let script = format!(
        "PATH={}:$PATH; source <(local-cache completions bash); \
         complete_words() {{ COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); \
         _local-cache-with-keys local-cache \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"; }}; \
         complete_words local-cache show k; echo ---; complete_words local-cache l",
        program.parent().unwrap().display()
    );
    let bash = std::process::Command::new("bash")
        .args(["--norc", "-c", &script])
        .env("LOCAL_CACHE_ROOT", machine.store())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&bash.stdout);
    let (keys, commands) = said.split_once("---").unwrap_or_else(|| panic!("{bash:?}"));
    assert!(keys.contains("k1\n") && keys.contains("k2\n"), "{bash:?}");
    assert!(commands.contains("list"), "{bash:?}");
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() {
    let machine = machine();
    for arguments in [
        &["list"][..],
        &["man"],
        &["completions", "bash"],
        &["stats"],
    ] {
        let mut child = super::command(&machine, arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ran = child.wait_with_output().unwrap();
        assert!(ran.stderr.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_have_them() {
    let machine = machine();
    let shown = |name: &str, value: &str| {
        let mut command = super::command(&machine, &["list"]);
        crate::support::RunResult::of(command.env(name, value))
            .succeeded()
            .stdout
    };
    assert!(!shown("TERM", "xterm").contains('\u{1b}'));
    assert!(shown("CLICOLOR_FORCE", "1").starts_with("\u{1b}[1mentry"));
    assert!(!shown("NO_COLOR", "1").contains('\u{1b}'));
}
