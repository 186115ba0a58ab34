//! Jobs of the cargo preset on a simulated machine, with the files that cargo would have left.

use std::fs;
use std::path::PathBuf;

use crate::support::machine::{Job, Machine};
use crate::support::step::PhaseResult;

/// A toolchain that rustup manages, so that keys have a compiler.
pub(super) const DRIVER: &str = "lib/librustc_driver-11aa.so";

pub(super) const LOCK: &str = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n\n\
    [[package]]\nname = \"dep\"\nversion = \"1.0.0\"\nsource = \"registry+https://example.org/index\"\n\
    checksum = \"aa\"\n";

/// A machine on which a toolchain is installed.
pub(crate) fn machine() -> Machine {
    let machine = Machine::new();
    install_toolchain(&machine, "11aa");
    machine
}

/// Installs a compiler, identified by some digits, in place of all others.
pub(super) fn install_toolchain(machine: &Machine, digits: &str) {
    let rustup = machine.home().join(".rustup");
    let lib = rustup.join("toolchains/stable-x86_64-unknown-linux-gnu/lib");
    drop(fs::remove_dir_all(&lib));
    fs::create_dir_all(&lib).unwrap();
    fs::write(lib.join(format!("librustc_driver-{digits}.so")), "").unwrap();
    fs::write(
        rustup.join("settings.toml"),
        "default_toolchain = \"stable-x86_64-unknown-linux-gnu\"\n",
    )
    .unwrap();
}

/// A job whose workspace holds a project; all of them have the same workspace.
pub(crate) fn project(machine: &Machine) -> Job<'_> {
    project_in(machine, "repo")
}

/// A job whose workspace has a name of its own and holds the same project.
pub(super) fn project_in<'m>(machine: &'m Machine, workspace: &str) -> Job<'m> {
    let job = machine.job_in(workspace);
    job.file(
        "Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\ndep = \"1\"\n",
    );
    job.file("Cargo.lock", LOCK);
    job.file("src/main.rs", "fn main() {}\n");
    job
}

/// Creates the files of a build.
pub(super) fn build(job: &Job<'_>) {
    job.file("~/.cargo/registry/cache/index-1/dep-1.0.0.crate", "archive");
    job.file(
        "~/.cargo/registry/src/index-1/dep-1.0.0/src/lib.rs",
        "source",
    );
    job.file("~/.cargo/registry/index/index-1/.cache/de/p-/dep", "index");
    job.file(
        "target/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    );
    build_unit(job, "target", "program");
}

/// The output of the unit of [`unit_files`], below a target directory.
pub(super) const UNIT_OUTPUT: &str = "debug/deps/libdep-0123456789abcdef.rlib";

/// The same in the workspace of a job.
pub(crate) const TARGET_OUTPUT: &str = "target/debug/deps/libdep-0123456789abcdef.rlib";

/// The files of a unit of the package `dep`, relative to a target directory, in the order in which
/// cargo writes them.
pub(super) fn unit_files(output: &str) -> [(String, String); 3] {
    let record = "debug/.fingerprint/dep-0123456789abcdef/lib-dep";
    [
        (UNIT_OUTPUT.to_owned(), output.to_owned()),
        (
            format!("{record}.json"),
            r#"{"deps":[],"local":[]}"#.to_owned(),
        ),
        (record.to_owned(), "0123456789abcdef".to_owned()),
    ]
}

/// Builds the unit into a target directory.
pub(super) fn build_unit(job: &Job<'_>, target: &str, output: &str) {
    for (name, text) in unit_files(output) {
        job.file(&format!("{target}/{name}"), &text);
    }
}

/// Empties the machine of everything but its store and its toolchains.
pub(crate) fn clear_machine(machine: &Machine) {
    drop(fs::remove_dir_all(machine.home().join(".cargo")));
}

/// A job: the main phase of a step with some inputs, other steps, the post phase. Target
/// directories stay in place, unless the inputs say otherwise.
pub(super) fn run(
    job: &Job<'_>,
    with: &[(&str, &str)],
    steps: impl FnOnce(&PhaseResult),
) -> (PhaseResult, PhaseResult) {
    let mut step = with
        .iter()
        .fold(job.cache().with("reuse", "copy"), |step, (name, value)| {
            step.with(name, value)
        });
    step.pre();
    let main = step.main().passed();
    steps(&main);
    let post = step.post().passed();
    (main, post)
}

/// A job that saves the files of a build.
pub(crate) fn first_job(machine: &Machine) {
    let job = project(machine);
    let (_, post) = run(&job, &[], |_| build(&job));
    post.logs("target: 4 files").logs("registry: 3 files");
    clear_machine(machine);
}

/// Every output of hits, in the order cache, registry, git, target.
pub(super) fn hits(done: &PhaseResult) -> [&str; 4] {
    [
        "cache-hit",
        "registry-cache-hit",
        "git-cache-hit",
        "target-cache-hit",
    ]
    .map(|name| done.output(name))
}

/// A path of the machine.
pub(crate) fn cargo_home(machine: &Machine) -> PathBuf {
    machine.home().join(".cargo")
}
