//! docs/job-log.svg shows the log of a real job.
//!
//! The log holds durations, sizes and digests, which differ from run to run and from compiler to
//! compiler. So the picture may differ from the log of this run in its numbers, and in nothing
//! else.

use std::fmt::Write as _;
use std::process::Output;

use super::registry::{Registry, git_dependency, run_cargo, rustup_home};
use crate::docs::generated::Document;
use crate::support::machine::{Job, Machine};

/// What the picture shows in place of the job's temporary directory.
const WORKSPACE: &str = "/home/runner/_work/widget";

/// The files of a workspace with three members, beside the ones that name its dependencies.
const FILES: [(&str, &str); 8] = [
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\"app\", \"engine\", \"protocol\"]\nresolver = \"2\"\n",
    ),
    (
        "app/Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n\
         engine = { path = \"../engine\" }\nprotocol = { path = \"../protocol\" }\n",
    ),
    (
        "app/src/main.rs",
        "fn main() { println!(\"{} {}\", engine::dep(), protocol::NAME) }\n",
    ),
    (
        "engine/Cargo.toml",
        "[package]\nname = \"engine\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n\
         dep = \"1\"\n",
    ),
    (
        "engine/src/lib.rs",
        "pub mod rules;\n\npub fn dep() -> &'static str { dep::VERSION }\n",
    ),
    ("engine/src/rules.rs", "pub const RULES: usize = 1;\n"),
    (
        "protocol/src/lib.rs",
        "pub mod wire;\n\npub use from_git::NAME;\n",
    ),
    ("protocol/src/wire.rs", "pub const VERSION: usize = 1;\n"),
];

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr].concat()).into_owned()
}

fn checkout<'m>(machine: &'m Machine, registry: &Registry) -> Job<'m> {
    let job = machine.job_in("repo").var("RUSTUP_HOME", rustup_home());
    let git = machine.path("from-git");
    if !git.exists() {
        git_dependency(&git);
    }
    for (name, text) in FILES {
        job.file(name, text);
    }
    job.file(
        "protocol/Cargo.toml",
        &format!(
            "[package]\nname = \"protocol\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n\
             from-git = {{ git = \"file://{}\" }}\n",
            git.display()
        ),
    );
    job.file(".cargo/config.toml", &registry.config());
    let lock = machine.path("Cargo.lock");
    if !lock.exists() {
        let ran = run_cargo(
            &machine.path("maintainer"),
            &job.workspace,
            &["generate-lockfile"],
        );
        assert!(ran.status.success(), "{}", said(&ran));
        std::fs::copy(job.locate("Cargo.lock"), &lock).unwrap();
    }
    std::fs::copy(&lock, job.locate("Cargo.lock")).unwrap();
    job
}

/// Runs a job and returns the log of its steps.
fn log_of(machine: &Machine, job: &Job<'_>) -> Vec<String> {
    let mut step = job.cache();
    step.pre().passed();
    let main = step.main().passed().log;
    let build = run_cargo(&machine.home(), &job.workspace, &["build", "--locked"]);
    assert!(build.status.success(), "{}", said(&build));
    let post = step.post().passed().log;

    let steps = [
        ("Run btcdecoded/local-cache@v1", main),
        ("Run cargo build --locked", said(&build)),
        ("Post Run btcdecoded/local-cache@v1", post),
    ];
    let workspace = job.workspace.display().to_string();
    let mut lines = Vec::new();
    for (name, log) in steps {
        lines.push(format!("▾ {name}"));
        lines.extend(
            folded(&log)
                .iter()
                .map(|line| shortened(&line.replace(&workspace, WORKSPACE))),
        );
    }
    lines
}

/// The lines with groups closed, as GitHub shows them at first.
fn folded(log: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_open = false;
    for line in log.lines() {
        if let Some(title) = line.strip_prefix("::group::") {
            lines.push(format!("▸ {title}"));
            is_open = true;
        } else if line == "::endgroup::" {
            is_open = false;
        } else if !is_open {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The line with only the first digits of each digest.
fn shortened(line: &str) -> String {
    let short = |part: &str| {
        let digits = part.trim_end_matches([';', ',']);
        if digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            format!("{}…{}", &digits[..4], &part[digits.len()..])
        } else {
            part.to_owned()
        }
    };
    let words = line.split(' ').map(|word| {
        let parts: Vec<String> = word.split('-').map(short).collect();
        parts.join("-")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The line without its numbers, units and digests; of a line of cargo, whose wording changes from
/// version to version, only the verb.
fn masked(line: &str) -> String {
    if let Some(of_cargo) = line.strip_prefix("  ") {
        return of_cargo.split_whitespace().take(1).collect();
    }
    let mut words = Vec::new();
    for word in line.split([' ', '-']) {
        let is_unit = ["B", "kB", "MB", "ms", "s"].contains(&word.trim_end_matches([',', ';']));
        if word.contains('…') || word.starts_with(|c: char| c.is_ascii_digit()) {
            words.push("#");
        } else if !(is_unit && words.last() == Some(&"#")) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Characters in a line of the picture.
const COLUMNS: usize = 114;
const LINE_HEIGHT: usize = 19;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The line in pieces that fit the picture.
fn wrapped(line: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for (number, word) in line.split(' ').enumerate() {
        if number > 0 && piece.chars().count() + 1 + word.chars().count() > COLUMNS {
            pieces.push(std::mem::replace(&mut piece, format!("   {word}")));
            continue;
        }
        if number > 0 {
            piece.push(' ');
        }
        piece.push_str(word);
    }
    pieces.push(piece);
    pieces
}

/// The text with cargo's verb in color, as cargo prints it.
fn highlighted(text: &str) -> String {
    let verb = ["Compiling", "Finished"]
        .into_iter()
        .find(|verb| text.trim_start().starts_with(verb));
    verb.map_or_else(
        || text.to_owned(),
        |verb| text.replacen(verb, &format!("<tspan class=\"verb\">{verb}</tspan>"), 1),
    )
}

const PICTURE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" role="img"
  width="860" height="{height}" viewBox="0 0 860 {height}">
<title>The log of a job with local-cache</title>
<desc>
{description}
</desc>
<style>
  text {
    font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
    fill: #c9d1d9;
    white-space: pre;
  }
  .step { font-weight: bold; fill: #ffffff; }
  .verb { font-weight: bold; fill: #3fb950; }
</style>
<rect x="0.5" y="0.5" width="859" height="{frame}" rx="8" fill="#0d1117" stroke="#30363d"/>
<g xml:space="preserve">
{rows}</g>
</svg>
"##;

/// The picture of a log. It keeps the plain lines in its description.
fn picture(lines: &[String]) -> String {
    let mut rows = String::new();
    let mut y = 34;
    for line in lines {
        let class = if line.starts_with('▾') {
            "step"
        } else {
            "line"
        };
        if class == "step" && y > 34 {
            y += LINE_HEIGHT / 2;
        }
        for piece in wrapped(line) {
            let text = highlighted(&escaped(&piece));
            writeln!(
                rows,
                "<text class=\"{class}\" x=\"18\" y=\"{y}\">{text}</text>"
            )
            .unwrap();
            y += LINE_HEIGHT;
        }
    }
    PICTURE
        .replace("{height}", &(y + 4).to_string())
        .replace("{frame}", &(y + 3).to_string())
        .replace("{description}", &escaped(&lines.join("\n")))
        .replace("{rows}", &rows)
}

/// The lines of the log that a picture was made of.
fn lines_of(picture: &str) -> Vec<String> {
    let description = picture
        .split_once("<desc>\n")
        .and_then(|(_, rest)| rest.split_once("\n</desc>"))
        .map_or("", |(description, _)| description);
    description
        .lines()
        .map(|line| {
            line.replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&")
        })
        .collect()
}

#[test]
fn the_picture_in_the_readme_is_the_log_of_a_job() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    log_of(&machine, &checkout(&machine, &registry));
    super::support::clear_machine(&machine);

    let job = checkout(&machine, &registry);
    let main = job.read("app/src/main.rs").unwrap();
    job.file("app/src/main.rs", &main.replace("{} {}", "{}, {}"));
    let lines = log_of(&machine, &job);

    let document = Document::read("docs/job-log.svg");
    let shown = lines_of(&document.text);
    let without_numbers =
        |lines: &[String]| lines.iter().map(|line| masked(line)).collect::<Vec<_>>();
    let is_same_log = without_numbers(&shown) == without_numbers(&lines);
    document.expect(&picture(if is_same_log { &shown } else { &lines }));
}

#[test]
fn a_log_without_its_numbers_is_the_same_for_every_run() {
    let one = "target: 1,204 files, 12.3 MB restored in 4 ms from v0-target-x86_64-0f9a… (exact)";
    let two = "target: 98 files, 900 kB restored in 1.2 s from v0-target-x86_64-a3f9… (exact)";
    assert_eq!(masked(one), masked(two));
    assert_ne!(masked(one), masked(&one.replace("restored", "saved")));
}

#[test]
fn a_picture_keeps_the_lines_that_it_was_made_of() {
    let lines = [
        "▾ Run <a> && b".to_owned(),
        format!("   {}end", "word ".repeat(60)),
    ];
    let picture = picture(&lines);
    assert_eq!(lines_of(&picture), lines);
    assert!(
        picture.contains("Run &lt;a&gt; &amp;&amp; b</text>"),
        "{picture}"
    );
}
