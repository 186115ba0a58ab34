//! `local-cache demo` from end to end, with projects that need no network.

mod lock_file;
mod project;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use project::{Snapshot, with_dependency, write_files};

/// A user with an empty home directory and an empty TMPDIR.
struct User {
    directory: TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self {
            directory: TempDir::new().expect("temporary directory"),
        };
        fs::create_dir(user.home()).expect("home");
        fs::create_dir(user.tmp()).expect("tmp");
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    fn tmp(&self) -> PathBuf {
        self.path("tmp")
    }

    /// The program, with only the toolchain of this machine in its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local-cache"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear();
        for name in ["PATH", "RUSTUP_TOOLCHAIN"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let home = std::env::var_os("HOME")
            .map(PathBuf::from)
            .unwrap_or_default();
        let rustup =
            std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
        command
            .env("RUSTUP_HOME", rustup)
            .env("HOME", self.home())
            .env("TMPDIR", self.tmp());
        command
    }

    fn demo(&self, arguments: &[&str]) -> Output {
        let arguments = [&["demo", "--project", "project"], arguments].concat();
        self.command(&arguments).output().expect("program")
    }

    fn names_in_tmp(&self) -> Vec<PathBuf> {
        fs::read_dir(self.tmp())
            .expect("tmp")
            .map(|entry| entry.expect("entry").path())
            .collect()
    }

    /// The command lines of processes that name this user's TMPDIR.
    fn processes(&self) -> Vec<String> {
        let needle = self.tmp().to_string_lossy().into_owned();
        let all = fs::read_dir("/proc").expect("proc").filter_map(Result::ok);
        let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        let texts = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        texts.filter(|line| line.contains(&needle)).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[track_caller]
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

#[test]
fn the_next_job_finds_both_caches_and_compiles_nothing() {
    let user = User::new();
    with_dependency(
        &user.path("project"),
        &user.path("registry"),
        &user.path("packaging"),
    );
    // Cargo settings of the user: the source is needed, the others would lead outside.
    let outside = user.path("outside");
    let config = format!(
        "[source.crates-io]\nreplace-with = 'local'\n[source.local]\nlocal-registry = '{}'\n\
         [build]\ntarget-dir = '{}'\nrustc-wrapper = '/nonexistent/wrapper'\n[term]\nquiet = true\n",
        user.path("registry").display(),
        outside.display()
    );
    write_files(&user.home(), &[(".cargo/config.toml", &config)]);
    let before = [user.path("project"), user.home(), user.path("registry")].map(Snapshot::of);

    let document = json(&user.demo(&["--json"]));
    crate::docs::json_output::assert_documented(&["demo"], &document);

    assert_eq!(
        [user.path("project"), user.home(), user.path("registry")].map(Snapshot::of),
        before
    );
    assert!(!outside.exists(), "a target directory outside was used");
    assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new());

    let [fresh, with, without] = &document["jobs"].as_array().expect("jobs")[..] else {
        panic!("{document:#}")
    };
    for (job, name, compiled, hits) in [
        (fresh, "fresh", 1, 0),
        (with, "with-cache", 0, 2),
        (without, "without-cache", 1, 0),
    ] {
        assert_eq!(job["job"], name);
        assert_eq!(job["compiled-dependencies"], compiled, "{job:#}");
        assert_eq!(job["compiled-own"], compiled, "{job:#}");
        assert_eq!(job["hits"], hits, "{job:#}");
        let steps =
            ["restore", "fetch", "build", "save"].map(|step| &job[format!("{step}-milliseconds")]);
        let sum: u64 = steps.iter().filter_map(|step| step.as_u64()).sum();
        let total = job["total-milliseconds"].as_u64().expect("total");
        assert!((sum..sum + 4).contains(&total), "{job:#}");
        assert_eq!(
            steps.map(Value::is_null),
            [
                name == "without-cache",
                false,
                false,
                name == "without-cache"
            ]
        );
    }
    assert_eq!(without["caches"], serde_json::json!([]));
    for at in 0..2 {
        let (saved, found) = (&fresh["caches"][at], &with["caches"][at]);
        assert_eq!(
            (&saved["cache-hit"], &found["cache-hit"]),
            (&"miss".into(), &"exact".into())
        );
        assert_eq!(saved["key"], found["key"]);
        assert!(saved["saved-files"].as_u64() > Some(0) && found["saved-files"].is_null());
        assert_eq!(saved["saved-files"], found["restored-files"]);
        assert_eq!(saved["saved-bytes"], found["restored-bytes"]);
    }
    assert_eq!(fresh["saved-bytes"], with["restored-bytes"]);
    assert_eq!(fresh["saved-files"], with["restored-files"]);
    assert!(document["speedup"].is_f64() && document["kept-directory"].is_null());
    assert_eq!(
        document["project"],
        user.path("project").to_str().expect("UTF-8")
    );
}

#[test]
fn it_prints_its_progress_a_table_and_a_conclusion() {
    let user = User::new();
    project::plain(&user.path("project"), "fn main() {}");
    let output = user.demo(&[]);
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut lines = out.lines();
    for expected in [
        "🔍 project: ",
        "   built with cargo ",
        "   everything is in ",
        "Job 1",
        "💿 nothing",
        "🔍 fetching",
        "🔍 building",
        "✅ built in",
        "💾 saved in",
        "Job 2, with the cache",
        "🚀 restored in",
        "Job 2, without the cache",
        "🧹 removed",
        "            ",
        "restore ",
        "fetch crates ",
        "build ",
        "save ",
        "total ",
        "cache hits ",
        "files restored ",
        "bytes restored ",
        "files saved ",
        "bytes saved ",
        "dependencies compiled  ",
        "own crates compiled  ",
    ] {
        assert!(
            lines.any(|line| line.starts_with(expected)),
            "{expected}\n{out}"
        );
    }
    let hits = out
        .lines()
        .find(|line| line.starts_with("cache hits"))
        .expect("hits");
    // Without dependencies there is no registry to cache.
    assert_eq!(
        hits.split_whitespace().skip(2).collect::<Vec<_>>(),
        ["0", "of", "1", "-", "1", "of", "1"]
    );
    let last = out.lines().last().expect("a line");
    assert!(
        last.contains("cargo compiled 0 of 1 own crate, and there are no dependencies"),
        "{last}"
    );
    assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new());
}

#[test]
fn a_failed_build_ends_with_the_last_lines_of_cargo_and_leaves_nothing() {
    let user = User::new();
    project::plain(&user.path("project"), "fn main() { unknown_function() }");
    let output = user.demo(&[]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.starts_with("local-cache: `cargo build --locked` failed (exit status: 101); "),
        "{err}"
    );
    assert!(
        err.contains("\n  | ") && err.contains("cannot find function `unknown_function`"),
        "{err}"
    );
    assert!(err.lines().count() <= 21, "{err}");
    assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new());
}

#[test]
fn with_keep_the_directory_stays_even_after_a_failure() {
    let user = User::new();
    project::plain(&user.path("project"), "not Rust");
    let output = user.demo(&["--keep"]);
    assert_eq!(output.status.code(), Some(1));
    let [kept] = &user.names_in_tmp()[..] else {
        panic!("{:?}", user.names_in_tmp())
    };
    assert!(text(&output.stdout).contains(&format!("💾 kept {}\n", kept.display())));
    assert_eq!(
        fs::read_to_string(kept.join("work/src/main.rs")).expect("source"),
        "not Rust"
    );
    assert_eq!(
        fs::metadata(kept).expect("kept").permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn the_json_names_the_kept_directory() {
    let user = User::new();
    project::plain(&user.path("project"), "fn main() {}");
    let document = json(&user.demo(&["--json", "--keep"]));
    let kept = document["kept-directory"].as_str().expect("a path");
    assert_eq!(user.names_in_tmp(), [Path::new(kept)]);
    assert!(Path::new(kept).join("runner-cache/local-cache-v1").is_dir());
}

#[test]
fn missing_requirements_are_reported_before_anything_runs() {
    let user = User::new();
    let nothing = user.demo(&[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        text(&nothing.stderr).contains("has no Cargo.toml; give --project"),
        "{nothing:?}"
    );

    project::plain(&user.path("project"), "fn main() {}");
    let mut command = user.command(&["demo", "--project", "project"]);
    let no_cargo = command
        .env("PATH", "/nonexistent")
        .output()
        .expect("program");
    assert_eq!(no_cargo.status.code(), Some(1));
    assert!(
        text(&no_cargo.stderr).contains("cargo is not in PATH; install Rust"),
        "{no_cargo:?}"
    );

    let no_registry = user.demo(&["--offline"]);
    assert_eq!(no_registry.status.code(), Some(1));
    assert!(
        text(&no_registry.stderr).contains("omit --offline"),
        "{no_registry:?}"
    );

    let elsewhere = user
        .command(&["demo", "--cache-root", "store"])
        .output()
        .expect("program");
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(
        text(&elsewhere.stderr).contains("omit --cache-root"),
        "{elsewhere:?}"
    );
    assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new());
}

#[test]
fn without_a_network_it_suggests_offline() {
    let user = User::new();
    with_dependency(
        &user.path("project"),
        &user.path("registry"),
        &user.path("packaging"),
    );
    let mut command = user.command(&["demo", "--project", "project"]);
    // Nobody listens on this port.
    let output = command
        .env("HTTPS_PROXY", "http://127.0.0.1:9")
        .env("CARGO_NET_RETRY", "0")
        .output()
        .expect("program");
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.starts_with("local-cache: `cargo fetch --locked` failed"),
        "{err}"
    );
    assert!(
        err.contains("use --offline to copy crates from your own Cargo home\n  | "),
        "{err}"
    );
    assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new());
}

/// Kills the program if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "timeout");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_ends_all_processes_and_removes_the_directory() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let user = User::new();
        project::plain(&user.path("project"), "fn main() {}");
        let script = "fn main() { std::thread::sleep(std::time::Duration::from_secs(300)); }";
        write_files(&user.path("project"), &[("build.rs", script)]);
        let mut command = user.command(&["demo", "--project", "project"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("program");
        let mut running = Running(child);
        let mut out = BufReader::new(running.0.stdout.take().expect("stdout"))
            .lines()
            .map_while(Result::ok);
        assert!(out.any(|line| line == "🔍 building"));
        wait_until(|| {
            user.processes()
                .iter()
                .any(|line| line.contains("build-script-build "))
        });

        let id = i32::try_from(running.0.id()).expect("a number");
        kill(Pid::from_raw(id), signal).expect("signal");

        let status = running.0.wait().expect("status");
        assert_eq!(status.code(), Some(1), "{signal}");
        assert_eq!(user.processes(), Vec::<String>::new(), "{signal}");
        assert_eq!(user.names_in_tmp(), Vec::<PathBuf>::new(), "{signal}");
        let err = std::io::read_to_string(running.0.stderr.take().expect("stderr")).expect("text");
        assert_eq!(err, "local-cache: interrupted\n", "{signal}");
    }
}
