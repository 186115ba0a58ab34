//! Phases that end early: cancelled, killed, or at their time limit. The store and the next job are
//! not affected.

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::action::{Step, job};
use super::machine::{Snapshot, snapshot};
use super::programs::programs;
use super::runner::Runner;
use super::stage::{Running, StageResult};
use super::support::{self, docker};

const FILES: usize = 3_000;
const WITH: [(&str, &str); 2] = [("path", "target"), ("key", "k")];

/// No process of a cancelled phase may live longer.
const PROCESSES_LIVE: Duration = Duration::from_secs(1);
/// When the runner sends SIGTERM after SIGINT.
const SIGTERM_DELAY: Duration = Duration::from_millis(7_500);

fn report(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

fn count(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let entries = entries.filter_map(Result::ok);
    entries
        .map(|entry| {
            1 + if entry.path().is_dir() {
                count(&entry.path())
            } else {
                0
            }
        })
        .sum()
}

/// A phase whose helper is stopped by SIGSTOP in the middle of its work, so that a test does not
/// depend on the speed of the machine.
struct PausedPhase {
    phase: Running,
    helper: Pid,
}

impl PausedPhase {
    fn when(runner: &Runner, phase: Running, is_half_done: impl Fn() -> bool) -> Self {
        let helper = std::cell::Cell::new(None);
        phase.wait_until("the helper", || {
            helper.set(helper_of(runner));
            helper.get().is_some()
        });
        let helper = helper.get().expect("was found");
        phase.wait_until("work that has started", &is_half_done);
        nix::sys::signal::kill(helper, Signal::SIGSTOP).expect("it is there");
        assert!(is_half_done(), "it was done already");
        Self { phase, helper }
    }

    fn resume(self) -> Running {
        nix::sys::signal::kill(self.helper, Signal::SIGCONT).expect("it is there");
        self.phase
    }

    /// Cancels the phase as the runner does. The helper continues shortly after the signal arrived.
    fn cancel(self) -> (StageResult, Duration) {
        let helper = self.helper;
        let resumer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(400));
            nix::sys::signal::kill(helper, Signal::SIGCONT)
        });
        let result = self.phase.cancel();
        resumer.join().expect("ends").expect("it was there");
        result
    }
}

/// The process of a helper of this runner.
fn helper_of(runner: &Runner) -> Option<Pid> {
    let processes = fs::read_dir("/proc").expect("lists").filter_map(Result::ok);
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .find_map(|number: i32| {
            let directory = Path::new("/proc").join(number.to_string());
            let line = fs::read(directory.join("cmdline")).ok()?;
            let is_helper = line.ends_with(b"\0worker\0")
                && fs::metadata(&directory).is_ok_and(|about| about.uid() == runner.user.uid);
            is_helper.then_some(Pid::from_raw(number))
        })
}

/// A runner whose store has an entry of many files.
fn with_entry() -> (Runner, PathBuf, Snapshot) {
    let runner = Runner::strict();
    let target = runner.workspace.join("target");
    runner.user.tree(&target, FILES, 300);
    job(&runner, &WITH, |_| ());
    let saved = snapshot(&target);
    fs::remove_dir_all(&target).expect("removes");
    (runner, target, saved)
}

/// A main phase in the middle of its restore.
fn restoring<'a>(runner: &'a Runner, with: &[(&str, &str)]) -> (Step<'a>, PausedPhase) {
    let mut step = Step::new(runner, with);
    step.passes("pre");
    let middle = || count(&runner.workspace) > 50 && !runner.workspace.join("target").exists();
    let paused = PausedPhase::when(runner, step.start("main"), middle);
    (step, paused)
}

/// A job that `end` ends in the middle of its save. Repeats if the save was done before.
fn cut_short<T>(runner: &Runner, with: &[(&str, &str)], end: impl Fn(PausedPhase) -> T) -> T {
    let store = runner.cache_root.join("local-cache-v1");
    for _ in 0..3 {
        let mut step = Step::new(runner, with);
        step.begin();
        assert_eq!(step.output("cache-hit"), None);
        let middle = || count(&store.join("tmp")) > 0 && store.join("format.json").exists();
        let ended = end(PausedPhase::when(runner, step.start("post"), middle));
        assert_sound(runner);
        if count(&store.join("entries")) == 0 {
            return ended;
        }
        fs::remove_dir_all(&store).expect("removes");
    }
    panic!("every save was done before it was cut short");
}

/// No file has its final name before it is complete, and the next job restores everything and
/// leaves nothing else.
fn assert_fine(runner: &Runner, target: &Path, saved: &Snapshot) {
    assert!(
        !target.exists() || snapshot(target) == *saved,
        "half a directory has its name"
    );
    let (before, _) = job(runner, &WITH, |_| ());
    assert!(before.contains("Cache restored from key: k"), "{before}");
    assert!(
        snapshot(target) == *saved,
        "the next job does not get what was saved"
    );
    // A helper that could not clean up leaves its temporary directory beside the root.
    for entry in fs::read_dir(&runner.workspace).expect("lists") {
        let path = entry.expect("lists").path();
        let name = path
            .file_name()
            .expect("has one")
            .to_string_lossy()
            .into_owned();
        assert!(
            path == *target || name.starts_with(".local-cache-"),
            "{name} is left"
        );
        fs::remove_dir_all(path).expect("removes");
    }
    assert_sound(runner);
}

fn assert_sound(runner: &Runner) {
    let verify = [
        "--cache-root".as_ref(),
        runner.cache_root.as_os_str(),
        "verify".as_ref(),
    ];
    let output = runner
        .user
        .command(&programs().local_cache)
        .args(verify)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Kills the container of a phase; all its processes must end within a second.
fn kill(runner: &Runner, paused: PausedPhase) {
    assert_eq!(
        runner.containers().len(),
        2,
        "the phase and its helper: {:?}",
        runner.containers()
    );
    let helper = Path::new("/proc").join(paused.helper.to_string());
    docker(&["kill", "--signal=KILL", &paused.phase.name]);
    let killed = Instant::now();
    let phase = paused.resume();
    phase.wait_until("the helper's end", || !helper.exists());
    let elapsed = killed.elapsed();
    // The engine removes its files.
    runner.wait_until_clear(Duration::from_secs(5));
    let all = killed.elapsed();
    report(&format!(
        "a killed phase: its helper gone after {} ms, all after {}",
        elapsed.as_millis(),
        all.as_millis()
    ));
    assert!(elapsed < PROCESSES_LIVE, "{elapsed:?}");
    let answer = phase.finish();
    assert_eq!(answer.status.code(), Some(137), "{}", answer.stdout);
}

#[test]
fn a_restore_whose_container_is_killed_ends_at_once_and_leaves_no_partial_files() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let (runner, target, saved) = with_entry();
    let (_, main) = restoring(&runner, &WITH);
    kill(&runner, main);
    assert_fine(&runner, &target, &saved);

    // Its helper can be killed, too: then only a later restore cleans up.
    let (_, main) = restoring(&runner, &WITH);
    nix::sys::signal::kill(main.helper, Signal::SIGKILL).unwrap();
    let answer = main.phase.finish();
    assert!(answer.status.success(), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("::warning") && answer.stdout.contains("SIGKILL"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("Cache not found"),
        "{}",
        answer.stdout
    );
    assert_fine(&runner, &target, &saved);
}

#[test]
fn a_cancelled_restore_ends_before_the_runner_sends_sigterm() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let (runner, target, saved) = with_entry();
    let (mut step, main) = restoring(&runner, &WITH);
    let (answer, elapsed) = main.cancel();
    report(&format!(
        "a cancelled phase: ended after {} ms",
        elapsed.as_millis()
    ));
    assert!(elapsed < SIGTERM_DELAY, "{elapsed:?}");
    assert!(
        answer
            .stdout
            .contains("the step was cancelled; no incomplete entry is left"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.status.success(),
        "{:?} {}",
        answer.status,
        answer.stdout
    );
    runner.wait_until_clear(PROCESSES_LIVE);
    step.take(&answer);
    assert_eq!(step.output("cache-hit"), None);
    let after = step.end("cancelled");
    assert!(
        after.contains("the job did not succeed, not saving cache"),
        "{after}"
    );
    assert_fine(&runner, &target, &saved);

    // A helper that ignores the signal is killed in time.
    let (_, stuck) = restoring(&runner, &WITH);
    let (answer, elapsed) = stuck.phase.cancel();
    assert!(elapsed < SIGTERM_DELAY, "{elapsed:?}");
    assert!(
        answer.stdout.contains("cancelled by SIGINT"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.status.success(),
        "{:?} {}",
        answer.status,
        answer.stdout
    );
    runner.wait_until_clear(Duration::from_secs(2));
    assert_fine(&runner, &target, &saved);
}

#[test]
fn a_restore_that_takes_too_long_is_cancelled_and_the_job_continues() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let (runner, target, saved) = with_entry();
    let assert_given_up = |said: &str| {
        let warning = said
            .lines()
            .find(|line| line.starts_with("::warning"))
            .unwrap_or_default();
        assert!(
            warning.contains("gave up") && warning.contains("raise `timeout`"),
            "{said}"
        );
        assert!(said.contains("Cache not found"), "{said}");
        runner.wait_until_clear(Duration::from_secs(2));
    };
    // While the helper is created.
    assert_given_up(&Step::new(&runner, &[&WITH[..], &[("timeout", "1ms")]].concat()).begin());
    let failing = [&WITH[..], &[("timeout", "1ms"), ("fail-on-error", "true")]].concat();
    assert_eq!(
        Step::new(&runner, &failing).phase("main").status.code(),
        Some(1)
    );

    // While it works.
    let (_, main) = restoring(&runner, &[&WITH[..], &[("timeout", "6s")]].concat());
    thread::sleep(Duration::from_secs(6));
    let answer = main.resume().finish();
    assert!(answer.status.success(), "{:?}", answer.status);
    assert_given_up(&answer.stdout);
    assert_fine(&runner, &target, &saved);
}

#[test]
fn a_save_whose_container_is_killed_or_stopped_leaves_no_entry_and_no_temporary_files() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let target = runner.workspace.join("target");
    // Many packs of small files.
    runner.user.tree(&target, 1_500, 60_000);
    cut_short(&runner, &WITH, |post| kill(&runner, post));

    let (answer, elapsed) = cut_short(&runner, &WITH, PausedPhase::cancel);
    assert!(elapsed < SIGTERM_DELAY, "{elapsed:?}");
    assert!(
        answer.stdout.contains("cancelled") && !answer.stdout.contains("Cache saved"),
        "{}",
        answer.stdout
    );
    assert!(answer.status.success(), "{:?}", answer.status);

    let answer = cut_short(
        &runner,
        &[&WITH[..], &[("timeout", "4s")]].concat(),
        |post| {
            thread::sleep(Duration::from_secs(4));
            post.resume().finish()
        },
    );
    assert!(
        answer.stdout.contains("gave up") && !answer.stdout.contains("Cache saved"),
        "{}",
        answer.stdout
    );

    let answer = cut_short(&runner, &WITH, |post| {
        nix::sys::signal::kill(post.helper, Signal::SIGKILL).unwrap();
        post.phase.finish()
    });
    assert!(
        answer.status.success() && answer.stdout.contains("SIGKILL"),
        "{}",
        answer.stdout
    );

    let saved = snapshot(&target);
    let (before, after) = job(&runner, &WITH, |_| ());
    assert!(
        before.contains("Cache not found") && after.contains("Cache saved"),
        "{before}{after}"
    );
    assert_eq!(
        count(&runner.cache_root.join("local-cache-v1/tmp")),
        0,
        "rubbish is left"
    );
    fs::remove_dir_all(&target).unwrap();
    assert_fine(&runner, &target, &saved);
}
