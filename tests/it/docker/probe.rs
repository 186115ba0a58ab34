//! Replaces the program in tests that start real containers: client and worker of `site`, with work
//! that reports what it sees, waits, fails and misbehaves on request.
//!
//! Near: reads the inputs a runner would give (`INPUT_WORK` is a list of [`Do`] as JSON), prints
//! log lines on standard error as they come, and one line of JSON at the end on standard output.

use local_cache::env::Env;
use local_cache::site::detect::detect;
use local_cache::site::facts::{SiteFacts, SiteRequest};
use local_cache::site::gather::gather;
use local_cache::site::run::{RunOptions, RunOutcome, SiteRunner};
use local_cache::site::worker as far;
use local_cache::site::worker::WorkerContext;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// One operation.
#[derive(Debug, Serialize, Deserialize)]
enum Do {
    /// Nothing.
    Nothing,
    /// Reports the user of this process and what it sees.
    LookAround,
    /// Reads a file.
    Read(PathBuf),
    /// Writes a file.
    Write(PathBuf, String),
    /// Lists a directory without going through `locate`.
    List(PathBuf),
    /// Resolves a path.
    Locate(PathBuf),
    /// Prints lines on standard error, with this many milliseconds between them.
    Say(u32, u64),
    /// Prints this on standard output, outside of a frame.
    Print(String),
    /// Returns so many bytes.
    Big(usize),
    /// Writes this file, waits until it is cancelled, and removes it again.
    UntilCancelled(PathBuf),
    /// Writes this file, then sleeps for a minute, even if cancelled.
    Stubborn(PathBuf),
    /// Panics.
    Panic,
    /// Ends at once, without a reply.
    Abort,
}

fn main() -> ExitCode {
    let env: Env = std::env::vars_os().collect();
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(far::ARGUMENT)) {
        return far::serve(env, work);
    }
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new("idle")) {
        thread::sleep(Duration::from_secs(600));
        return ExitCode::SUCCESS;
    }
    local_cache::site::signals::install().expect("catches signals");
    near(&env)
}

fn work(list: Vec<Do>, context: &WorkerContext) -> Vec<Value> {
    list.into_iter().map(|one| work_one(one, context)).collect()
}

fn work_one(one: Do, context: &WorkerContext) -> Value {
    match one {
        Do::Nothing => Value::Null,
        Do::LookAround => look_around(context),
        Do::Read(path) => said(
            context
                .namespace
                .resolve(&path)
                .and_then(fs::read_to_string),
        ),
        Do::Write(path, text) => said(
            context
                .namespace
                .resolve(&path)
                .and_then(|path| fs::write(path, text)),
        ),
        Do::List(path) => said(list(&path)),
        Do::Locate(path) => said(
            context
                .namespace
                .resolve(&path)
                .map(|path| path.to_string_lossy().into_owned()),
        ),
        Do::Say(count, pause) => {
            for number in 0..count {
                complain(&format!("line {number}"));
                thread::sleep(Duration::from_millis(pause));
            }
            Value::Null
        }
        Do::Print(text) => said(io::stdout().write_all(text.as_bytes())),
        Do::Big(bytes) => Value::from("x".repeat(bytes)),
        Do::UntilCancelled(path) => {
            let path = context.namespace.resolve(&path).unwrap_or(path);
            drop(fs::write(&path, "working"));
            let start = Instant::now();
            while !context.is_cancelled() && start.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(2));
            }
            said(fs::remove_file(&path))
        }
        Do::Stubborn(path) => {
            drop(
                context
                    .namespace
                    .resolve(&path)
                    .map(|path| fs::write(path, "working")),
            );
            thread::sleep(Duration::from_secs(60));
            Value::Null
        }
        Do::Panic => panic!("on purpose"),
        Do::Abort => std::process::abort(),
    }
}

fn look_around(context: &WorkerContext) -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    json!({
        "uid": field("Uid"), "gid": field("Gid"), "groups": field("Groups"), "cap_eff": field("CapEff"),
        "cap_prm": field("CapPrm"), "cap_bnd": field("CapBnd"), "cap_inh": field("CapInh"), "cap_amb": field("CapAmb"),
        "no_new_privs": field("NoNewPrivs"), "seccomp": field("Seccomp"), "pid": std::process::id(),
        "interfaces": said(list(Path::new("/sys/class/net"))),
        "own_root": said(fs::write("/written", "x")),
        "home": context.namespace.home(), "root": context.namespace.resolve(Path::new("/")).ok(),
        "HOME": context.env.get(OsStr::new("HOME")).map(|home| home.to_string_lossy().into_owned()),
    })
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn said<T: Serialize>(result: io::Result<T>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": format!("{:?}", error.kind()), "text": error.to_string() }),
    }
}

fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn near(env: &Env) -> ExitCode {
    let begin = Instant::now();
    let input = |name: &str| {
        let value = env.get(OsStr::new(&format!("INPUT_{name}")));
        value
            .map(|value| value.to_string_lossy().into_owned())
            .filter(|value| !value.is_empty())
    };
    let milliseconds = |name: &str| {
        input(name)
            .and_then(|text| text.parse().ok())
            .map(Duration::from_millis)
    };
    let asked = SiteRequest {
        preference: input("SITE")
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
        cache_root: input("CACHE-ROOT")
            .map_or_else(|| PathBuf::from("/tmp/runner-cache"), PathBuf::from),
        paths: input("PATH")
            .into_iter()
            .flat_map(|text| lines(&text))
            .collect(),
        job_container: input("JOB-CONTAINER"),
        ephemeral: true,
        engine_timeout: milliseconds("ENGINE_TIMEOUT").unwrap_or(RunOptions::ENGINE_TIMEOUT),
        env: env.clone(),
    };
    let facts = gather(&asked);
    let decision = detect(&facts);
    let list: Vec<Do> =
        serde_json::from_str(&input("WORK").unwrap_or_else(|| "[\"Nothing\"]".to_owned()))
            .expect("INPUT_WORK is a list of work");
    let options = RunOptions {
        timeout: milliseconds("TIMEOUT"),
        grace: milliseconds("GRACE").unwrap_or(RunOptions::DEFAULT_GRACE),
        identity: input("IDENTITY").and_then(|text| serde_json::from_str(&text).ok()),
        ..RunOptions::new(env.clone())
    };
    let list: Vec<Do> = list
        .into_iter()
        .map(|one| translated(one, &decision))
        .collect();
    let decided = begin.elapsed();
    let runner = SiteRunner {
        facts: &facts,
        decision: &decision,
        options: &options,
    };
    let outcome = runner.run(list, &mut |line| complain(&format!("log: {line}")), work);
    let refused: Vec<Value> = decision
        .refused
        .iter()
        .map(|it| json!([it.site, it.problem.code(), it.problem.to_string()]))
        .collect();
    let notices: Vec<String> = decision.notices.iter().map(ToString::to_string).collect();
    let answer = json!({
        "site": decision.site, "refused": refused, "notices": notices, "own": own_id(&facts),
        "decided_ms": decided.as_secs_f64() * 1e3, "total_ms": begin.elapsed().as_secs_f64() * 1e3,
        "outcome": told(outcome),
    });
    drop(writeln!(io::stdout(), "{answer}"));
    ExitCode::SUCCESS
}

fn lines(text: &str) -> Vec<PathBuf> {
    text.lines().map(PathBuf::from).collect()
}

/// Work with the paths of the worker.
fn translated(one: Do, decision: &local_cache::site::detect::SiteDecision) -> Do {
    let far = |path: &Path| decision.translation.to_worker(path);
    match one {
        Do::Read(path) => Do::Read(far(&path)),
        Do::Write(path, text) => Do::Write(far(&path), text),
        Do::Locate(path) => Do::Locate(far(&path)),
        Do::UntilCancelled(path) => Do::UntilCancelled(far(&path)),
        Do::Stubborn(path) => Do::Stubborn(far(&path)),
        other => other,
    }
}

fn own_id(facts: &SiteFacts) -> Option<String> {
    Some(
        facts
            .engine
            .as_ref()?
            .as_ref()
            .ok()?
            .own_container
            .as_ref()?
            .id
            .clone(),
    )
}

fn told(outcome: Result<RunOutcome<Vec<Value>>, local_cache::site::problem::Problem>) -> Value {
    match outcome {
        Ok(outcome) => json!({
            "reply": outcome.reply, "called_off": outcome.stop_reason.map(|why| format!("{why:?}")),
            "identity": outcome.identity, "notices": outcome.notices,
        }),
        Err(problem) => json!({ "problem": problem.code(), "text": problem.to_string() }),
    }
}
