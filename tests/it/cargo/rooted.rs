//! The preset with a root that is not `/`, as a worker in a container sees the host.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use local_cache::action::worker::{WorkerRequest, run_in_worker};
use local_cache::cargo::key_inputs::KeyInputs;
use local_cache::env::Env;
use local_cache::fs::Rooted;
use local_cache::job::{
    CacheReply, CargoTarget, Job, JobReply, JobTarget, RestoreTask, SaveReply, SaveTask, Task,
    WorkspaceLine,
};
use local_cache::ops::restore::RestoreOptions;
use local_cache::site::paths::{Mount, MountMap, Translation};
use local_cache::site::worker::WorkerContext;
use local_cache::tree::plan::Extraneous;

use super::support::LOCK;

/// A host below a directory: `.cargo` and the toolchains of the runner's user are absolute symlinks
/// to other directories.
fn host() -> tempfile::TempDir {
    let host = tempfile::tempdir().unwrap();
    let root = host.path();
    for (file, text) in [
        (
            "work/repo/Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\n",
        ),
        ("work/repo/Cargo.lock", LOCK),
        (
            "work/repo/crates/a/Cargo.toml",
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\n",
        ),
        (
            "data/cargo/config.toml",
            "[build]\nrustflags = [\"-Copt-level=1\"]\n",
        ),
        (
            "data/rustup/settings.toml",
            "default_toolchain = \"stable-x86_64-unknown-linux-gnu\"\n",
        ),
        (
            "data/rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/librustc_driver-11aa.so",
            "",
        ),
    ] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir_all(root.join("home/me")).unwrap();
    symlink("/data/cargo", root.join("home/me/.cargo")).unwrap();
    symlink("/data/rustup", root.join("home/me/.rustup")).unwrap();
    host
}

fn work_below(root: &Path, cargo: CargoTarget, task: Task) -> JobReply {
    let job = Job {
        cache_root: "/cache".into(),
        workspace: "/work/repo".into(),
        target: JobTarget::Cargo(Box::new(cargo)),
        task,
        housekeeping: local_cache::job::Housekeeping::default(),
    };
    // As sent to a helper.
    let request = WorkerRequest {
        job,
        remote: None,
        copy: None,
    };
    let request: WorkerRequest =
        serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
    run_in_worker(
        request,
        &WorkerContext::new(
            Arc::new(Rooted::new(root.into(), Vec::new(), "/home/me".into())),
            Env::default(),
            Arc::default(),
        ),
    )
}

fn restore() -> Task {
    Task::Restore(RestoreTask {
        read: vec![<_>::default()],
        options: RestoreOptions {
            extraneous: Extraneous::Remove,
            ..RestoreOptions::default()
        },
        ..RestoreTask::default()
    })
}

fn keys(reply: &JobReply) -> Vec<String> {
    assert_eq!((&reply.error, &reply.warnings[..]), (&None, &[][..]));
    reply.caches.iter().map(|cache| cache.key.clone()).collect()
}

#[test]
fn a_key_does_not_depend_on_the_root_but_on_the_targets_of_links() {
    let (one, other) = (host(), host());
    let of = |root: &Path| keys(&work_below(root, CargoTarget::default(), restore()));
    let first = of(one.path());
    assert_eq!(first, of(other.path()));
    for (file, text, target) in [
        ("data/cargo/config.toml", "", true),
        (
            "data/rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/librustc_driver-22bb.so",
            "",
            true,
        ),
        (
            "work/repo/crates/b/Cargo.toml",
            "[package]\nname = \"b\"\nversion = \"0.1.0\"\n",
            true,
        ),
        ("work/repo/crates/a/README.md", "", false),
    ] {
        let changed = host();
        let path = changed.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        let keys = of(changed.path());
        assert_eq!(keys[..2], first[..2], "{file}");
        assert_eq!(keys[2] != first[2], target, "{file}");
    }
}

#[test]
fn caches_below_another_root_are_restored_there() {
    let host = host();
    let root = host.path();
    for file in [
        "data/cargo/registry/cache/i/dep-1.0.0.crate",
        "work/repo/target/CACHEDIR.TAG",
    ] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), file).unwrap();
    }
    let reply = work_below(
        root,
        CargoTarget::default(),
        Task::Save(SaveTask::default()),
    );
    assert!(
        reply
            .caches
            .iter()
            .all(|cache| cache.error.is_none() && cache.saved.is_some()),
        "{reply:?}"
    );
    fs::remove_dir_all(root.join("data/cargo/registry")).unwrap();
    fs::remove_dir_all(root.join("work/repo/target")).unwrap();
    let reply = work_below(root, CargoTarget::default(), restore());
    assert!(
        reply
            .caches
            .iter()
            .all(|cache| cache.found.as_ref().is_some_and(|found| found.exact)),
        "{reply:?}"
    );
    assert!(
        root.join("data/cargo/registry/cache/i/dep-1.0.0.crate")
            .exists()
    );
    assert!(root.join("work/repo/target/CACHEDIR.TAG").exists());
}

#[test]
fn a_directory_of_the_checkout_that_does_not_exist_any_more_is_reported() {
    let host = host();
    let root = host.path();
    let cargo = || CargoTarget {
        only_projects: true,
        ..CargoTarget::default()
    };
    let records = work_below(root, cargo(), restore());
    let records = records.caches.iter().map(CacheReply::record).collect();
    let archive = root.join("data/cargo/registry/cache/i/dep-1.0.0.crate");
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::write(&archive, "archive").unwrap();
    fs::remove_dir_all(root.join("work")).unwrap();
    let task = SaveTask {
        records,
        ..SaveTask::default()
    };
    let reply = work_below(root, cargo(), Task::Save(task));
    assert_eq!((&reply.error, &reply.warnings[..]), (&None, &[][..]));
    let saved: Vec<_> = reply.caches.into_iter().map(|cache| cache.saved).collect();
    assert!(
        matches!(
            &saved[..],
            [
                Some(SaveReply::Done { files: 1, .. }),
                Some(SaveReply::Done { files: 0, .. }),
                Some(SaveReply::Skipped { reason })
            ] if reason == "the checkout is gone (no Cargo.toml in /work/repo)"
        ),
        "{saved:?}"
    );
}

#[test]
fn messages_use_the_paths_of_the_host() {
    let host = host();
    symlink("/data", host.path().join("work/repo/target")).unwrap();
    let task = || Task::Save(SaveTask::default());
    let reply = work_below(host.path(), CargoTarget::default(), task());
    let error = reply.caches[2].error.as_ref().unwrap();
    assert!(
        error.contains(": /work/repo/target is a symlink;") && error.contains("`. -> /data`"),
        "{error}"
    );
}

#[test]
fn paths_of_the_actions_container_become_those_of_the_host() {
    let mount = Mount {
        source: "/home/me/_work/repo/repo".into(),
        destination: "/github/workspace".into(),
        writable: true,
    };
    let translation = Translation::Host(MountMap::new([mount]));
    let mut cargo = CargoTarget {
        workspaces: vec![
            WorkspaceLine {
                root: "/github/workspace/fuzz".to_owned(),
                target: Some("out".to_owned()),
            },
            WorkspaceLine {
                root: "../other".to_owned(),
                target: Some("/mnt/target".to_owned()),
            },
        ],
        directories: vec!["/github/workspace/data".to_owned(), "~/.cache".to_owned()],
        key_inputs: KeyInputs {
            env_vars: vec!["FLAVOUR".to_owned()],
            ..KeyInputs::default()
        },
        ..CargoTarget::default()
    };
    let env: BTreeMap<OsString, OsString> = [
        ("CARGO_HOME", "/github/workspace/.cargo"),
        ("RUSTUP_HOME", "/home/me/.rustup"),
        ("RUSTFLAGS", "-L/github/workspace"),
        ("FLAVOUR", "x"),
        ("PATH", "/bin"),
        ("HOME", "/github/home"),
        ("ACTIONS_RUNTIME_TOKEN", "secret"),
        ("CARGO_REGISTRY_TOKEN", "secret"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    cargo.add_env(
        env.iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
        false,
    );
    cargo.map_paths(&|path| translation.to_worker(path), &|line| {
        translation
            .lines_to_worker(line.as_ref())
            .into_string()
            .unwrap()
    });
    let roots: Vec<_> = cargo
        .workspaces
        .iter()
        .map(|line| (line.root.as_str(), line.target.as_deref()))
        .collect();
    assert_eq!(
        roots,
        [
            ("/home/me/_work/repo/repo/fuzz", Some("out")),
            ("../other", Some("/mnt/target"))
        ]
    );
    assert_eq!(
        cargo.directories,
        ["/home/me/_work/repo/repo/data", "~/.cache"]
    );
    let env: BTreeMap<String, PathBuf> = cargo
        .env
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    let expected = [
        ("CARGO_HOME", "/home/me/_work/repo/repo/.cargo"),
        ("FLAVOUR", "x"),
        ("RUSTFLAGS", "-L/github/workspace"),
        ("RUSTUP_HOME", "/home/me/.rustup"),
    ];
    assert_eq!(
        env,
        expected
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into()
    );
}
