//! Shared by the tests with real containers: whether they can run, the `docker` command, names.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) const PREFIX: &str = "local-cache-test-";

/// Tests hold it shared; a test that measures time holds it exclusively.
static QUIET: RwLock<()> = RwLock::new(());
static NUMBER: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn lock_shared() -> RwLockReadGuard<'static, ()> {
    QUIET.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn lock_exclusive() -> RwLockWriteGuard<'static, ()> {
    QUIET.write().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a test that needs `what` can run. If not, reports that, or fails if the environment
/// requires the test.
pub(crate) fn can_run(what: &str) -> bool {
    let missing = match what {
        "docker" => docker_missing(),
        "podman" => docker_missing().or_else(podman_missing),
        _ => docker_missing().or_else(|| {
            act_program()
                .is_none()
                .then(|| "act is not installed".to_owned())
        }),
    };
    let Some(missing) = missing else { return true };
    let required = std::env::var_os("LOCAL_CACHE_TESTS_REQUIRE").unwrap_or_default();
    let required = required.to_string_lossy();
    assert!(
        !required
            .split(',')
            .any(|name| name.trim() == what || name.trim() == "all"),
        "LOCAL_CACHE_TESTS_REQUIRE asks for {what}, but {missing}"
    );
    // `eprintln!` would be captured for a test that passes.
    drop(writeln!(
        io::stderr(),
        "SKIPPED: a test that needs {what}: {missing}"
    ));
    false
}

fn docker_missing() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING
        .get_or_init(|| {
            if !nix::unistd::geteuid().is_root() {
                return Some("it must run as root to create users".to_owned());
            }
            let answer = Command::new("docker")
                .args(["version", "--format", "{{.Server.Version}}"])
                .output();
            match answer {
                Ok(answer) if answer.status.success() => None,
                _ => Some("no Docker Engine answers".to_owned()),
            }
        })
        .clone()
}

fn podman_missing() -> Option<String> {
    let found = Command::new("podman").arg("--version").output();
    let is_installed = found.is_ok_and(|output| output.status.success());
    (!is_installed).then(|| "Podman is not installed".to_owned())
}

pub(crate) fn act_program() -> Option<PathBuf> {
    let found = Command::new("sh")
        .args(["-c", "pyenv which act 2>/dev/null || command -v act"])
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    path.is_file().then_some(path)
}

/// Runs `docker` and returns its standard output. Fails the test if the command fails.
pub(crate) fn docker<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    docker_or_error(arguments).unwrap_or_else(|error| {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|it| it.as_ref().to_string_lossy())
            .collect();
        panic!("docker {}: {error}", arguments.join(" "))
    })
}

/// The same; an error is its standard error.
pub(crate) fn docker_or_error<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("docker runs");
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text)
    }
}

pub(crate) fn unique(what: &str) -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{what}{}-{number}", std::process::id())
}
