//! A restore that ends at any moment leaves a target directory that cargo takes for stale.

use std::path::Path;
use std::time::Duration;

use super::support::files::long_ago;
use super::support::{BUILD, Files, Host};

fn project(host: &Host, text: &str) -> Files {
    host.locked(
        Files::default()
            .with_members(&["app", "lib"])
            .with_package("app", "app", "[dependencies]\nlib = { path = \"../lib\" }")
            .with("app/src/main.rs", "fn main() { println!(\"{}\", lib::V); }")
            .with_package("lib", "lib", "")
            .with("lib/src/lib.rs", format!("pub const V: &str = \"{text}\";"))
            .with("lib/build.rs", "fn main() {}"),
    )
}

/// Kills a restore after each of some times. The sources have old times, so that cargo notices no
/// change itself.
fn kill_restores(saves: &[&str]) {
    let host = Host::new();
    let one = project(&host, "one");
    let two = project(&host, "two");
    for milliseconds in (1..50).step_by(5) {
        let job = host.job(&one);
        job.set_times(long_ago());
        job.restore();
        assert_eq!(job.build(BUILD).output("app"), "one");
        job.save(saves);
        let job = host.job(&two);
        job.set_times(long_ago());
        let program = Path::new(env!("CARGO_BIN_EXE_local-cache"));
        let mut restore = host.command(program, &job.directory);
        restore.args(["cargo", "restore", "--cache-root"]);
        let mut child = restore.arg(host.path("store")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let built = job.build(BUILD);
        assert_eq!(built.output("app"), "two", "killed after {milliseconds} ms");
    }
}

#[test]
fn a_killed_restore_of_a_ready_copy_leaves_nothing_fresh_that_changed() {
    kill_restores(&["--move"]);
}

#[test]
fn a_killed_restore_of_an_entry_leaves_nothing_fresh_that_changed() {
    kill_restores(&[]);
}
