//! One directory with several names: tables of translations.

use local_cache::site::paths::{Mount, MountMap, Translation};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const SOCKET: &str = "/var/run/docker.sock";
const ROOT: &str = "/tmp/runner-cache";

fn mapping(mounts: &[(&str, &str)]) -> MountMap {
    MountMap::new(mounts.iter().map(|(source, destination)| Mount {
        source: PathBuf::from(source),
        destination: PathBuf::from(destination),
        writable: true,
    }))
}

/// What a container action of the real runner is given.
pub(crate) fn action_mounts() -> MountMap {
    mapping(&[
        (SOCKET, SOCKET),
        ("/home/runner/_work/_temp", "/github/runner_temp"),
        ("/home/runner/_work/_temp/_github_home", "/github/home"),
        (
            "/home/runner/_work/_temp/_github_workflow",
            "/github/workflow",
        ),
        (
            "/home/runner/_work/_temp/_runner_file_commands",
            "/github/file_commands",
        ),
        ("/home/runner/_work/repo/repo", "/github/workspace"),
    ])
}

/// The mounts of a job's container, with one volume of the workflow.
pub(crate) fn job_mounts(volume: (&str, &str)) -> MountMap {
    mapping(&[
        ("/home/runner/_work", "/__w"),
        ("/home/runner/_work/_temp", "/__w/_temp"),
        ("/home/runner/_work/_temp/_github_home", "/github/home"),
        volume,
    ])
}

#[test]
fn paths_are_translated_by_the_longest_prefix_and_in_both_forms() {
    let host = Translation::Host(action_mounts());
    for (path, expected) in [
        ("/github/workspace", "/home/runner/_work/repo/repo"),
        (
            "/github/workspace/target/debug",
            "/home/runner/_work/repo/repo/target/debug",
        ),
        (
            "/github/workspace/../other",
            "/home/runner/_work/repo/repo/../other",
        ),
        ("/github/workspaces", "/github/workspaces"),
        (
            "/github/runner_temp/_github_home/x",
            "/home/runner/_work/_temp/_github_home/x",
        ),
        (
            "/github/home/.cargo",
            "/home/runner/_work/_temp/_github_home/.cargo",
        ),
        (
            "/home/runner/_work/repo/repo/a",
            "/home/runner/_work/repo/repo/a",
        ),
        (ROOT, ROOT),
        ("~/.cargo", "~/.cargo"),
    ] {
        assert_eq!(
            host.to_worker(Path::new(path)),
            Path::new(expected),
            "{path}"
        );
    }
    for (path, expected) in [
        (
            "/home/runner/_work/repo/repo/a",
            Some("/github/workspace/a"),
        ),
        (
            "/home/runner/_work/_temp/_github_home/x",
            Some("/github/home/x"),
        ),
        ("/home/runner/_work/_temp/y", Some("/github/runner_temp/y")),
        ("/home/runner/_work/_tool", None),
    ] {
        assert_eq!(
            action_mounts().from_host(Path::new(path)).as_deref(),
            expected.map(Path::new),
            "{path}"
        );
    }
    let job = Translation::Job {
        own: action_mounts(),
        job: job_mounts((ROOT, "/cache")),
    };
    for (path, expected) in [
        ("/github/workspace/a", "/__w/repo/repo/a"),
        ("/home/runner/_work/repo/repo/a", "/__w/repo/repo/a"),
        ("/__w/repo/repo/a", "/__w/repo/repo/a"),
        ("/github/runner_temp/a", "/__w/_temp/a"),
        ("/github/home/.cargo", "/github/home/.cargo"),
        ("/tmp/runner-cache/x", "/cache/x"),
        ("/usr/local/cargo", "/usr/local/cargo"),
    ] {
        assert_eq!(
            job.to_worker(Path::new(path)),
            Path::new(expected),
            "{path}"
        );
    }
    assert_eq!(
        Translation::Same.to_worker(Path::new("/github/workspace")),
        Path::new("/github/workspace")
    );
}

#[test]
fn a_volume_that_has_the_cache_roots_name_wins_over_a_host_path_of_that_name() {
    let own = mapping(&[]);
    let job = mapping(&[("/data", ROOT), ("/tmp", "/host-tmp")]);
    let translation = Translation::Job { own, job };
    assert_eq!(translation.to_worker(Path::new(ROOT)), Path::new(ROOT));
}

#[test]
fn a_directory_that_a_mount_hides_has_no_name_in_the_container() {
    let hidden = mapping(&[("/data", "/x"), ("/other", "/x/sub")]);
    assert_eq!(hidden.from_host(Path::new("/data/sub/a")), None);
    assert_eq!(
        hidden.from_host(Path::new("/other/a")).unwrap(),
        Path::new("/x/sub/a")
    );
    assert_eq!(
        hidden.to_host(Path::new("/x/sub/a")).unwrap(),
        Path::new("/other/a")
    );
}

#[test]
fn every_line_of_a_list_is_translated_by_itself() {
    let host = Translation::Host(action_mounts());
    let given = "/github/workspace/target\n  !/github/workspace//a/*.o  \r\n~/.cargo/registry\n\n\
                 relative/github/workspace\n/github/workspace\n# /github/workspace";
    let expected = "/home/runner/_work/repo/repo/target\n  !/home/runner/_work/repo/repo//a/*.o  \r\n~/.cargo/registry\n\n\
                    relative/github/workspace\n/home/runner/_work/repo/repo\n# /github/workspace";
    assert_eq!(
        host.lines_to_worker(OsStr::new(given)),
        OsStr::new(expected)
    );
}

#[test]
fn names_need_not_be_utf_8() {
    let host = Translation::Host(action_mounts());
    let given = OsString::from_vec(b"/github/workspace/\xff\xfe\n!/github/home/\x80/*".to_vec());
    let translated = host.lines_to_worker(&given);
    let expected: &[u8] =
        b"/home/runner/_work/repo/repo/\xff\xfe\n!/home/runner/_work/_temp/_github_home/\x80/*";
    assert_eq!(translated.as_bytes(), expected);
    let path = Path::new(OsStr::from_bytes(b"/github/workspace/\xff"));
    assert_eq!(
        action_mounts().from_host(&host.to_worker(path)).as_deref(),
        Some(path)
    );
    // The engine can't write such a mount down; it must not translate anything.
    assert!(mapping(&[("/a\u{fffd}", "/b")]).mounts().is_empty());
}
