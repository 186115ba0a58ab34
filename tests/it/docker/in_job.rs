//! The action in a job with a container: it works inside that container, as the steps do.

use std::fs;
use std::path::PathBuf;

use super::action::{Step, lines};
use super::job::Job;
use super::machine::snapshot;
use super::runner::Runner;
use super::steps::lay_project;
use super::support;

/// A step of a job in a container: the runner passes the id of that container and connects the
/// action's container to its network.
fn step<'a>(runner: &'a Runner, job: &Job, with: &[(&str, &str)]) -> Step<'a> {
    let network = format!("--network={}", job.network);
    let mut step = Step::new(runner, with).changed(move |stage| stage.option(&network));
    step.job_container.clone_from(&job.id);
    step
}

#[test]
fn the_second_job_restores_inside_its_container_what_the_first_one_saved() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let (uid, gid) = (runner.user.uid, runner.user.gid);
    let user = format!("--user={uid}:{gid}");
    for (kind, options) in [
        ("root", &[][..]),
        ("user", &[user.as_str()]),
        ("sealed", &[user.as_str(), "--read-only", "--tmpfs=/tmp"]),
    ] {
        let cache = runner.user.directory(&format!("cache-{kind}"));
        let volume = format!("--volume={}:/cache", cache.display());
        let target = runner.workspace.join("target");
        let home = runner.temp.join("_github_home/.cargo/registry");
        // One path in the forms of container and host, and the home of the steps.
        let path = lines(["target", "~/.cargo/registry"]);
        let with = [
            ("path", path.as_str()),
            ("key", kind),
            ("cache-root", "/cache"),
        ];
        let places = [&target, &home];

        let job = Job::new(&runner, &[options, &[&volume]].concat());
        let mut first = step(&runner, &job, &with);
        let before = first.begin();
        assert!(before.contains("Cache not found"), "{kind}: {before}");
        places
            .iter()
            .for_each(|place| runner.user.tree(place, 20, 50));
        let saved = places.map(|place| snapshot(place));
        let after = first.end("success");
        assert!(
            after.contains(&format!("Cache saved with key: {kind}")),
            "{kind}: {after}"
        );
        drop(job);
        places
            .iter()
            .for_each(|place| fs::remove_dir_all(place).unwrap());

        let job = Job::new(&runner, &[options, &[&volume]].concat());
        let mut second = step(&runner, &job, &with);
        let before = second.begin();
        assert!(before.contains("Cache restored"), "{kind}: {before}");
        assert_eq!(second.output("cache-hit"), Some("true"), "{kind}");
        assert!(places.map(|place| snapshot(place)) == saved, "{kind}");
        second.end("success");
        assert!(cache.join("local-cache-v1/format.json").exists(), "{kind}");
        assert_eq!(
            support::docker(&["diff", &job.id])
                .matches("local-cache")
                .count(),
            0,
            "{kind}"
        );
        places
            .iter()
            .for_each(|place| fs::remove_dir_all(place).unwrap());
        if kind == "root" {
            // The steps of such a job create files of root, too.
            fs::remove_dir_all(cache).unwrap();
        }
    }
    let left: Vec<_> = fs::read_dir(&runner.temp)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| name.to_string_lossy().starts_with('_')),
        "{left:?}"
    );
    let cargo = runner.temp.join("_github_home/.cargo");
    let foreign: Vec<PathBuf> = runner
        .user
        .foreign_files()
        .into_iter()
        .filter(|path| *path != cargo)
        .collect();
    assert_eq!(foreign, Vec::<PathBuf>::new());
}

#[test]
fn a_cargo_project_is_cached_with_the_images_toolchain_and_cargo_home() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let user = &runner.user;
    // As in the official images of Rust.
    let (cargo, rustup) = (
        user.directory("image-cargo"),
        user.directory("image-rustup"),
    );
    lay_project(&runner, &rustup);
    let cache = user.directory("cache");
    let volumes = [
        (&cargo, "/usr/local/cargo"),
        (&rustup, "/usr/local/rustup"),
        (&cache, "/cache"),
    ];
    let volumes = volumes.map(|(here, there)| format!("--volume={}:{there}", here.display()));
    let own = format!("--user={}:{}", user.uid, user.gid);
    let homes = [
        "--env=CARGO_HOME=/usr/local/cargo",
        "--env=RUSTUP_HOME=/usr/local/rustup",
    ];
    let options: Vec<&str> = volumes
        .iter()
        .map(String::as_str)
        .chain(homes)
        .chain([own.as_str()])
        .collect();
    let with = [("cache-root", "/cache")];
    let places = [
        cargo.join("registry/cache"),
        runner.workspace.join("target"),
    ];

    let job = Job::new(&runner, &options);
    let mut first = step(&runner, &job, &with);
    let before = first.begin();
    assert!(
        before.contains("target: no entry for v0-rust-target-build-linux-x86_64-"),
        "{before}"
    );
    user.tree(&places[0], 20, 60);
    user.file_at(&places[1].join(".rustc_info.json"), b"{}");
    user.file_at(&places[1].join("CACHEDIR.TAG"), b"Signature");
    let saved = places.each_ref().map(|place| snapshot(place));
    let after = first.end("success");
    assert!(after.contains("target: 2 files"), "{after}");
    drop(job);
    // A ready copy can't be made between two mounts. The next job finds an empty workspace in
    // either case.
    for place in &places {
        drop(fs::remove_dir_all(place));
    }

    let job = Job::new(&runner, &options);
    let mut second = step(&runner, &job, &with);
    let before = second.begin();
    for name in [
        "cache-hit",
        "registry-cache-hit",
        "git-cache-hit",
        "target-cache-hit",
    ] {
        assert_eq!(second.output(name), Some("true"), "{name}: {before}");
    }
    assert!(
        places.each_ref().map(|place| snapshot(place)) == saved,
        "{before}"
    );
    second.end("success");
    // Without the toolchain of the image, the key differs.
    fs::rename(rustup.join("toolchains"), rustup.join("none")).unwrap();
    let mut third = step(&runner, &job, &with);
    let before = third.begin();
    assert_ne!(third.output("target-cache-hit"), Some("true"), "{before}");
    third.end("success");
}

#[test]
fn a_job_container_without_the_cache_root_is_told_which_line_to_add_and_continues() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::strict();
    let job = Job::new(&runner, &[]);
    let mut step = step(&runner, &job, &[("path", "target"), ("key", "k")]);
    let root = runner.cache_root.display();
    let line = format!("add this line to the job below `container: volumes:` `- {root}:{root}`");
    for (phase, expected) in [("pre", 0), ("main", 1), ("post", 1)] {
        let said = step.passes(phase);
        assert_eq!(said.matches(&line).count(), expected, "{phase}: {said}");
    }
    assert_eq!(step.output("cache-hit"), None);
    drop(job);
}
