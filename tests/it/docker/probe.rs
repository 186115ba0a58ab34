//! Replaces the program in tests that start real containers: client and worker of `site`, with work
//! that reports what it sees, waits, fails and misbehaves on request.
//!
//! The client reads the inputs of a runner (`INPUT_WORK` is a list of [`Do`] as JSON), prints log
//! lines on standard error as they arrive, and one line of JSON at the end on standard output.

use local_cache::env::Env;
use local_cache::site::SitePreference;
use local_cache::site::detect::detect;
use local_cache::site::facts::{SiteFacts, SiteRequest};
use local_cache::site::gather::gather;
use local_cache::site::run::{RunOptions, RunOutcome, SiteRunner};
use local_cache::site::worker::{self, WorkerContext};
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
    Nothing,
    /// Reports the user of this process and what it sees.
    LookAround,
    Read(PathBuf),
    Write(PathBuf, String),
    /// Lists a directory of this process, without resolving its name.
    List(PathBuf),
    /// Resolves a path.
    Locate(PathBuf),
    /// Prints lines on standard error, with this many milliseconds between them.
    Say(u32, u64),
    /// Prints this on standard output, outside of a frame.
    Print(String),
    /// Returns this many bytes.
    Big(usize),
    /// Writes this file, waits until it is cancelled, and removes it again.
    UntilCancelled(PathBuf),
    /// Writes this file, then sleeps for a minute, even if cancelled.
    Stubborn(PathBuf),
    Panic,
    /// Ends the process without a reply.
    Abort,
}

fn main() -> ExitCode {
    let env: Env = std::env::vars_os().collect();
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(worker::ARGUMENT)) {
        return worker::serve(env, work);
    }
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new("idle")) {
        thread::sleep(Duration::from_secs(600));
        return ExitCode::SUCCESS;
    }
    local_cache::site::signals::install().expect("catches signals");
    run_client(&env)
}

fn work(list: Vec<Do>, context: &WorkerContext) -> Vec<Value> {
    list.into_iter()
        .map(|work| run_one(work, context))
        .collect()
}

fn run_one(work: Do, context: &WorkerContext) -> Value {
    match work {
        Do::Nothing => Value::Null,
        Do::LookAround => look_around(context),
        Do::Read(path) => to_json(
            context
                .namespace
                .resolve(&path)
                .and_then(fs::read_to_string),
        ),
        Do::Write(path, text) => to_json(
            context
                .namespace
                .resolve(&path)
                .and_then(|path| fs::write(path, text)),
        ),
        Do::List(path) => to_json(list(&path)),
        Do::Locate(path) => to_json(
            context
                .namespace
                .resolve(&path)
                .map(|path| path.to_string_lossy().into_owned()),
        ),
        Do::Say(count, pause) => {
            for number in 0..count {
                log_line(&format!("line {number}"));
                thread::sleep(Duration::from_millis(pause));
            }
            Value::Null
        }
        Do::Print(text) => to_json(io::stdout().write_all(text.as_bytes())),
        Do::Big(bytes) => Value::from("x".repeat(bytes)),
        Do::UntilCancelled(path) => {
            let path = context.namespace.resolve(&path).unwrap_or(path);
            drop(fs::write(&path, "working"));
            let start = Instant::now();
            while !context.is_cancelled() && start.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(2));
            }
            to_json(fs::remove_file(&path))
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
        "interfaces": to_json(list(Path::new("/sys/class/net"))),
        "own_root": to_json(fs::write("/written", "x")),
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

fn to_json<T: Serialize>(result: io::Result<T>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": format!("{:?}", error.kind()), "text": error.to_string() }),
    }
}

fn log_line(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn run_client(env: &Env) -> ExitCode {
    let start = Instant::now();
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
    let request = SiteRequest {
        preference: match input("SITE").as_deref() {
            Some("here") => SitePreference::Here,
            Some("host") => SitePreference::Host,
            Some("job-container") => SitePreference::JobContainer,
            _ => SitePreference::Auto,
        },
        cache_root: input("CACHE-ROOT")
            .map_or_else(|| PathBuf::from("/tmp/runner-cache"), PathBuf::from),
        paths: input("PATH")
            .into_iter()
            .flat_map(|text| lines(&text))
            .collect(),
        job_container: input("JOB-CONTAINER"),
        ephemeral: true,
        beside_steps: false,
        engine_timeout: milliseconds("ENGINE_TIMEOUT").unwrap_or(RunOptions::ENGINE_TIMEOUT),
        env: env.clone(),
    };
    let facts = gather(&request);
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
        .map(|work| translated(work, &decision))
        .collect();
    let decided = start.elapsed();
    let runner = SiteRunner {
        facts: &facts,
        decision: &decision,
        options: &options,
    };
    let outcome = runner.run(list, &mut |line| log_line(&format!("log: {line}")), work);
    let refused: Vec<Value> = decision
        .refused
        .iter()
        .map(|it| json!([it.site, it.problem.code(), it.problem.to_string()]))
        .collect();
    let notices: Vec<String> = decision.notices.iter().map(ToString::to_string).collect();
    let answer = json!({
        "site": decision.site, "refused": refused, "notices": notices, "own": own_id(&facts),
        "decided_ms": decided.as_secs_f64() * 1e3, "total_ms": start.elapsed().as_secs_f64() * 1e3,
        "outcome": outcome_json(outcome),
    });
    drop(writeln!(io::stdout(), "{answer}"));
    ExitCode::SUCCESS
}

fn lines(text: &str) -> Vec<PathBuf> {
    text.lines().map(PathBuf::from).collect()
}

/// Work with the paths of the worker.
fn translated(work: Do, decision: &local_cache::site::detect::SiteDecision) -> Do {
    let to_worker = |path: &Path| decision.translation.to_worker(path);
    match work {
        Do::Read(path) => Do::Read(to_worker(&path)),
        Do::Write(path, text) => Do::Write(to_worker(&path), text),
        Do::Locate(path) => Do::Locate(to_worker(&path)),
        Do::UntilCancelled(path) => Do::UntilCancelled(to_worker(&path)),
        Do::Stubborn(path) => Do::Stubborn(to_worker(&path)),
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

fn outcome_json(
    outcome: Result<RunOutcome<Vec<Value>>, local_cache::site::problem::Problem>,
) -> Value {
    match outcome {
        Ok(outcome) => json!({
            "reply": outcome.reply, "stop_reason": outcome.stop_reason.map(|why| format!("{why:?}")),
            "identity": outcome.identity, "notices": outcome.notices,
        }),
        Err(problem) => json!({ "problem": problem.code(), "text": problem.to_string() }),
    }
}
