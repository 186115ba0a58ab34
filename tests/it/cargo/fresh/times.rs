//! Times in the future and in the past, and filesystems with whole seconds.

use std::time::Duration;

use super::support::files::{long_ago, set_time, tomorrow};
use super::support::{BUILD, Files, Host};
use crate::support::mounts::Mount;

/// A project with a module, an included file and a build script that watches nothing.
fn project(number: u32) -> Files {
    Files::default()
        .with_members(&["app", "plain"])
        .with_package("app", "app", "[dependencies]\nplain = { path = \"../plain\" }")
        .with(
            "app/src/main.rs",
            "mod v;\nfn main() { println!(\"{} {} {}\", v::V, include_str!(\"text\").trim(), plain::D); }",
        )
        .with("app/src/v.rs", format!("pub const V: u32 = {number};"))
        .with("app/src/text", format!("text {number}"))
        .with_package("plain", "plain", "")
        .with("plain/src/lib.rs", "pub const D: &str = env!(\"D\");")
        .with("plain/files/one", "one")
        .with("plain/files/two", format!("{number}"))
        .with(
            "plain/build.rs",
            "fn main() { println!(\"cargo:rustc-env=D={}\", std::fs::read_to_string(\"files/two\").unwrap().trim()); }",
        )
}

fn expected(number: u32) -> String {
    format!("{number} text {number} {number}")
}

#[test]
fn a_file_with_a_future_time_does_not_hide_changes_of_others() {
    let host = Host::new();
    let job = host.job(&host.locked(project(1)));
    for name in ["plain/files/one", "app/src/main.rs"] {
        set_time(&job.path(name), tomorrow());
    }
    job.restore();
    assert!(job.build(BUILD).succeeded);
    job.save(&["--move"]);
    for number in [2, 3] {
        let built = host.next_job(&host.locked(project(number)), BUILD);
        assert_eq!(built.output("app"), expected(number));
    }
    host.next_job(&host.locked(project(3)), BUILD)
        .compiled_only(&[]);
}

#[test]
fn a_clock_that_was_ahead_does_not_hide_changes() {
    let host = Host::new();
    for (number, is_ahead) in [(1, true), (2, false), (3, true), (4, true), (5, false)] {
        let job = host.job(&host.locked(project(number)));
        if is_ahead {
            job.set_times(tomorrow());
        }
        job.restore();
        assert_eq!(job.builds_like_clean(BUILD).output("app"), expected(number));
        job.save(&["--move"]);
    }
    host.next_job(&host.locked(project(5)), BUILD)
        .compiled_only(&[]);
}

#[test]
fn a_step_that_sets_all_times_to_one_moment_hides_no_change() {
    for is_before in [true, false] {
        let host = Host::new();
        for number in [1, 2, 3] {
            let job = host.job(&host.locked(project(number)));
            if is_before {
                job.set_times(long_ago());
            }
            job.restore();
            if !is_before {
                job.set_times(long_ago());
            }
            let built = job.builds_like_clean(BUILD);
            assert_eq!(built.output("app"), expected(number), "before: {is_before}");
            job.save(&["--move"]);
        }
        // Unchanged, the same step costs nothing.
        let job = host.job(&host.locked(project(3)));
        if is_before {
            job.set_times(long_ago());
        }
        job.restore();
        let built = job.builds_like_clean(BUILD);
        if is_before {
            built.compiled_only(&[]);
        }
    }
}

#[test]
fn contents_that_are_swapped_between_files_of_the_same_size_and_time_are_seen() {
    let host = Host::new();
    for number in [1, 2, 1, 1] {
        let job = host.job(&host.locked(project(number)));
        job.set_times(long_ago());
        job.restore();
        assert_eq!(job.builds_like_clean(BUILD).output("app"), expected(number));
        job.save(&["--move"]);
    }
}

/// Jobs in quick succession, some unchanged, some with a change within the same second. Before a
/// build, `before` waits.
fn quick_jobs(host: &Host, option: &[&str], before: Duration) {
    let mut last = None;
    for number in [1, 1, 2, 3, 3, 4] {
        let job = host.job(&host.locked(project(number)));
        job.restore();
        std::thread::sleep(before);
        let built = job.builds_like_clean(BUILD);
        assert_eq!(built.output("app"), expected(number));
        if last == Some(number) {
            built.compiled_only(&[]);
        }
        last = Some(number);
        job.save(option);
    }
}

#[test]
fn a_filesystem_that_keeps_whole_seconds_hides_no_change() {
    // Small inodes have no room for fractions of seconds.
    let mkfs = ["mkfs.ext4", "-q", "-F", "-I", "128"];
    for option in [&["--move"][..], &[]] {
        let mount = Mount::image(
            600 << 20,
            &mkfs,
            "loop",
            "jobs on a filesystem with whole seconds",
        );
        let Some(mount) = mount else { return };
        // What changed in the second in which its build began may have changed after that.
        quick_jobs(
            &Host::below(mount.path()),
            option,
            Duration::from_millis(1_100),
        );
    }
}

#[test]
fn jobs_in_quick_succession_hide_no_change() {
    quick_jobs(&Host::new(), &["--move"], Duration::ZERO);
}
