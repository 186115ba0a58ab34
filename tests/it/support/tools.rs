//! System programs that tests compare with, and how a test is skipped if one is missing.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Reports that a test, or a part of one, is skipped. If the variable `LOCAL_CACHE_TESTS_REQUIRE`
/// names the missing tool or is `all`, the test fails instead.
#[track_caller]
#[expect(
    clippy::disallowed_methods,
    reason = "an environment variable names the tools that must exist"
)]
pub(crate) fn skip(missing: &str, what: &str) {
    let required = std::env::var("LOCAL_CACHE_TESTS_REQUIRE").unwrap_or_default();
    let is_required = required
        .split([',', ' '])
        .any(|item| item == missing || item == "all");
    assert!(!is_required, "{missing} is required and missing: {what}");
    // Written directly: the test harness hides the output of print macros of passing tests.
    drop(
        std::io::stderr().write_all(format!("SKIPPED: {what}: {missing} is missing\n").as_bytes()),
    );
}

/// Whether a program exists; reports that `what` is skipped if not.
#[track_caller]
pub(crate) fn is_installed(program: &str, what: &str) -> bool {
    let found = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .any(|dir| Path::new(dir).join(program).exists());
    if !found {
        skip(program, what);
    }
    found
}

/// Whether a run takes every fault, damage and power cut instead of a sample: if
/// `LOCAL_CACHE_FAULTS` is `all`.
pub(crate) fn takes_all_faults() -> bool {
    std::env::var_os("LOCAL_CACHE_FAULTS").is_some_and(|value| value == "all")
}

/// Copies a tree with everything but its ctimes.
#[track_caller]
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    let options = ["-a", "--sparse=always"].map(std::ffi::OsStr::new);
    run_tool(
        "cp",
        &[&options[..], &[from.as_os_str(), to.as_os_str()]].concat(),
    );
}

/// Runs a program that must succeed; returns what it printed.
#[track_caller]
pub(crate) fn run_tool(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Demands that rsync finds no difference between two trees: contents, kinds, modes, times, links,
/// owners, attributes.
#[track_caller]
pub(crate) fn rsync_sees_no_difference(original: &Path, copy: &Path) {
    if !is_installed("rsync", "comparison by rsync") {
        return;
    }
    let slash = |path: &Path| {
        let mut path = path.as_os_str().to_owned();
        path.push("/");
        path
    };
    let mut options = vec!["-aHniX", "--checksum", "--delete"];
    if !is_root() {
        // An unprivileged user can't change owners.
        options.push("--no-owner");
    }
    let mut arguments: Vec<&std::ffi::OsStr> = options.iter().map(AsRef::as_ref).collect();
    let (original, copy) = (slash(original), slash(copy));
    arguments.extend([original.as_os_str(), copy.as_os_str()]);
    let differences = run_tool("rsync", &arguments);
    assert_eq!(
        differences,
        "",
        "rsync sees differences between {} and {}",
        original.display(),
        copy.display()
    );
}
