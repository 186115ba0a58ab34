//! Real builds: the next job neither downloads nor compiles what an earlier one did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

use super::registry::{Registry, git, git_dependency, run_cargo, rustup_home};
use super::support::{clear_machine, hits, run};
use crate::support::machine::{Job, Machine};

/// A project with a crate from the registry and one from git, checked out into a job's workspace.
pub(super) fn project<'m>(machine: &'m Machine, registry: &Registry, with_lock: bool) -> Job<'m> {
    let job = machine.job_in("repo").var("RUSTUP_HOME", rustup_home());
    let git = machine.path("from-git");
    if !git.exists() {
        git_dependency(&git);
    }
    let manifest = format!(
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\ndep = \"1\"\n\
         from-git = {{ git = \"file://{}\" }}\n",
        git.display()
    );
    job.file("Cargo.toml", &manifest);
    job.file(".cargo/config.toml", &registry.config());
    job.file(
        "src/main.rs",
        "fn main() { println!(\"{} {}\", dep::VERSION, from_git::NAME) }\n",
    );
    if with_lock {
        let lock = machine.path("Cargo.lock");
        if !lock.exists() {
            let ran = run_cargo(
                &machine.path("maintainer"),
                &job.workspace,
                &["generate-lockfile"],
            );
            assert!(ran.status.success(), "{}", said(&ran));
            fs::copy(job.locate("Cargo.lock"), &lock).unwrap();
        }
        fs::copy(&lock, job.locate("Cargo.lock")).unwrap();
    }
    job
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&[&ran.stdout[..], &ran.stderr].concat()).into_owned()
}

#[track_caller]
pub(super) fn cargo(machine: &Machine, directory: &Path, arguments: &[&str]) -> String {
    let ran = run_cargo(&machine.home(), directory, arguments);
    assert!(ran.status.success(), "{}", said(&ran));
    said(&ran)
}

/// As workflows have it.
const PLAIN: &[(&str, &str)] = &[("reuse", "move")];

#[test]
fn the_next_job_downloads_nothing_and_compiles_nothing() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    let (main, _) = run(&job, PLAIN, |_| {
        let built = cargo(&machine, &job.workspace, &["build", "--locked"]);
        assert!(
            built.contains("Downloaded dep v1.0.0") && built.contains("Compiling from-git"),
            "{built}"
        );
    });
    assert_eq!(hits(&main), ["false", "", "", ""]);

    // Restored by a rename, and from the entry.
    for ready in [true, false] {
        clear_machine(&machine);
        if !ready {
            fs::remove_dir_all(machine.store().join("local-cache-v1/ready")).unwrap();
        }
        let job = project(&machine, &registry, true);
        let before = registry.requests();
        let (main, post) = run(&job, PLAIN, |_| {
            let built = cargo(
                &machine,
                &job.workspace,
                &["build", "--locked", "--offline", "-v"],
            );
            assert_eq!(built.matches("Fresh ").count(), 3, "{built}");
            let printed = cargo(
                &machine,
                &job.workspace,
                &["run", "--locked", "--offline", "-q"],
            );
            assert!(printed.contains("1.0.0 git"), "{printed}");
        });
        assert_eq!(
            hits(&main),
            ["true", "true", "true", "true"],
            "{}",
            main.log
        );
        assert_eq!(registry.requests(), before, "something was downloaded");
        // Cargo records the path of the checkout in target, and the checkout is in another
        // directory now.
        post.logs("✅ registry: unchanged")
            .logs("✅ git: unchanged");
    }
}

#[test]
fn a_changed_source_is_compiled_and_nothing_else() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    run(&job, PLAIN, |_| {
        drop(cargo(&machine, &job.workspace, &["build", "--locked"]));
    });
    let job = project(&machine, &registry, true);
    // Of the same length.
    let text = job.read("src/main.rs").unwrap().replace("{} {}", "{}+{}");
    job.file("src/main.rs", &text);
    run(&job, PLAIN, |_| {
        let built = cargo(
            &machine,
            &job.workspace,
            &["build", "--locked", "--offline", "-v"],
        );
        assert_eq!(built.matches("Fresh ").count(), 2, "{built}");
        let printed = cargo(
            &machine,
            &job.workspace,
            &["run", "--locked", "--offline", "-q"],
        );
        assert!(printed.contains("1.0.0+git"), "{printed}");
    });
}

#[test]
fn a_source_that_was_patched_for_a_build_and_moved_back_is_compiled_by_the_next_job() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    run(&job, PLAIN, |_| {
        drop(cargo(&machine, &job.workspace, &["build", "--locked"]));
    });
    let job = project(&machine, &registry, true);
    run(&job, PLAIN, |_| {
        let (source, aside) = (job.locate("src/main.rs"), job.locate("src/main.rs.orig"));
        let patched = fs::read_to_string(&source)
            .unwrap()
            .replace("{} {}", "patched");
        fs::rename(&source, &aside).unwrap();
        fs::write(
            &source,
            patched.replace(", dep::VERSION, from_git::NAME", ""),
        )
        .unwrap();
        let printed = cargo(
            &machine,
            &job.workspace,
            &["run", "--locked", "--offline", "-q"],
        );
        assert!(printed.contains("patched"), "{printed}");
        fs::rename(&aside, &source).unwrap();
    });
    let job = project(&machine, &registry, true);
    let (main, _) = run(&job, PLAIN, |_| {
        let printed = cargo(
            &machine,
            &job.workspace,
            &["run", "--locked", "--offline", "-q"],
        );
        assert!(printed.contains("1.0.0 git"), "{printed}");
    });
    main.logs("workspace: 0 of 1 crates are fresh; app: src/main.rs changed after the build began");
}

#[test]
fn a_job_that_builds_nothing_new_saves_nothing() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    run(&job, &[], |_| {
        drop(cargo(&machine, &job.workspace, &["build", "--locked"]));
    });
    let mut step = job.cache();
    step.main()
        .passed()
        .logs("🚀 target: ")
        .logs("the others up to date");
    cargo(&machine, &job.workspace, &["build", "--locked"]);
    let post = step.post().passed();
    for name in ["registry", "git", "target"] {
        assert!(
            post.log.contains(&format!("✅ {name}: unchanged")),
            "{}",
            post.log
        );
    }
}

#[test]
fn the_repositories_of_submodules_are_saved() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let (dependency, submodule) = (machine.path("from-git"), machine.path("Sub-Mod"));
    git_dependency(&submodule);
    git_dependency(&dependency);
    let url = format!("file://{}", submodule.display());
    git(&dependency, &["submodule", "--quiet", "add", &url, "below"]);
    git(&dependency, &["commit", "-q", "-m", "two"]);
    let job = project(&machine, &registry, true);
    let db = machine.home().join(".cargo/git/db");
    let repositories = || {
        let names = fs::read_dir(&db).unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<_>>()
    };
    let mut built = BTreeSet::new();
    run(&job, &[], |_| {
        cargo(&machine, &job.workspace, &["build", "--locked"]);
        built = repositories();
        fs::create_dir(db.join("unneeded-0011223344556677")).unwrap();
    });
    // Since cargo 1.94.
    assert!(
        built.iter().any(|name| name.starts_with("Sub-Mod-")),
        "{built:?}"
    );
    clear_machine(&machine);
    let job = project(&machine, &registry, true);
    run(&job, &[], |_| assert_eq!(repositories(), built));
}

#[test]
fn a_library_without_a_lock_file_resolves_offline_from_its_cache() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0", "1.2.0"]);
    let job = project(&machine, &registry, false);
    run(&job, &[], |_| {
        drop(cargo(&machine, &job.workspace, &["build"]));
    });
    clear_machine(&machine);
    let job = project(&machine, &registry, false);
    let (main, _) = run(&job, &[], |_| {
        let built = cargo(&machine, &job.workspace, &["build", "--offline", "-v"]);
        assert!(built.contains("Fresh dep v1.2.0"), "{built}");
        assert!(!built.contains("Compiling"), "{built}");
    });
    assert_eq!(
        hits(&main),
        ["true", "true", "true", "true"],
        "{}",
        main.log
    );
}

#[test]
fn a_job_that_fails_to_compile_saves_its_dependencies() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true).status("failure");
    job.file("src/main.rs", "fn main() { nonsense }\n");
    run(&job, &[], |_| {
        assert!(
            !run_cargo(&machine.home(), &job.workspace, &["build", "--locked"])
                .status
                .success()
        );
    });
    clear_machine(&machine);
    let job = project(&machine, &registry, true);
    run(&job, &[], |_| {
        let built = cargo(
            &machine,
            &job.workspace,
            &["build", "--locked", "--offline", "-v"],
        );
        assert!(built.contains("Fresh dep v1.0.0"), "{built}");
    });
}

#[test]
fn cargo_waits_for_a_restore_and_a_restore_for_cargo() {
    let machine = Machine::new();
    let registry = Registry::with(&["1.0.0"]);
    let job = project(&machine, &registry, true);
    run(&job, &[], |_| {
        drop(cargo(&machine, &job.workspace, &["build", "--locked"]));
    });
    // Both at once into an empty CARGO_HOME, repeatedly: neither may see unfinished work of the
    // other.
    for _ in 0..5 {
        clear_machine(&machine);
        let job = project(&machine, &registry, true);
        std::thread::scope(|scope| {
            let fetch = scope.spawn(|| cargo(&machine, &job.workspace, &["fetch", "--locked"]));
            let main = job.cache().main().passed();
            assert_eq!(
                hits(&main),
                ["true", "true", "true", "true"],
                "{}",
                main.log
            );
            fetch.join().unwrap();
        });
        cargo(
            &machine,
            &job.workspace,
            &["build", "--locked", "--offline"],
        );
    }
}
