//! The location of intermediate artifacts (`build.build-dir`), compared with cargo's own.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_cache::cargo::key::CargoKeys;
use local_cache::cargo::project::facts::WorkspaceRequest;

use super::support::Fixture;
use crate::support::tools::skip;

/// The directory of cargo's intermediate artifacts; none if cargo is too old to report it.
fn by_cargo(fixture: &Fixture, directory: &Path) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(directory);
    command
        .env("CARGO_HOME", fixture.path("~/.cargo"))
        .env_remove("CARGO_TARGET_DIR");
    let variable = "CARGO_BUILD_BUILD_DIR";
    match fixture.asked.env.get(std::ffi::OsStr::new(variable)) {
        Some(value) => command.env(variable, value),
        None => command.env_remove(variable),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["build_directory"].as_str().map(PathBuf::from)
}

/// A project with settings of a test.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.remove("rust-toolchain.toml");
    for name in ["crates/b/src/lib.rs", "crates/out/src/lib.rs"] {
        fixture.write(name, "");
    }
    fixture
}

fn configure(fixture: &Fixture, template: &str) {
    fixture.write(
        ".cargo/config.toml",
        &format!("[build]\nbuild-dir = '{template}'\n"),
    );
}

/// The directory of a target directory's intermediate artifacts.
fn found(keys: &CargoKeys) -> &Path {
    let target = &keys.target[0];
    assert!(target.build_dirs.len() < 2, "{:?}", target.build_dirs);
    target.build_dirs.first().unwrap_or(&target.directory)
}

type Change<'c> = &'c dyn Fn(&mut Fixture);

#[test]
fn build_directories_are_those_of_cargo() {
    let set = |fixture: &mut Fixture, value: &str| fixture.set("CARGO_BUILD_BUILD_DIR", value);
    let cases: [(&str, Change<'_>); 9] = [
        ("nothing", &|_| {}),
        ("a name", &|fixture| configure(fixture, "intermediate")),
        ("a directory above", &|fixture| {
            configure(fixture, "../intermediate");
        }),
        ("the root", &|fixture| {
            configure(fixture, "{workspace-root}/target/inner");
        }),
        ("a hash", &|fixture| {
            configure(fixture, "{cargo-cache-home}/build/{workspace-path-hash}");
        }),
        ("the target directory", &|fixture| {
            configure(fixture, "target");
        }),
        ("the configuration of a home", &|fixture| {
            fixture.remove(".cargo/config.toml");
            fixture.write(
                "~/.cargo/config.toml",
                "[build]\nbuild-dir = 'of-home/{workspace-path-hash}'\n",
            );
        }),
        ("a variable", &|fixture| {
            configure(fixture, "not-this");
            set(fixture, "/mnt/{workspace-path-hash}/x");
        }),
        ("a variable with a name", &|fixture| {
            set(fixture, "by-variable");
        }),
    ];
    for (what, change) in cases {
        let mut fixture = fixture();
        change(&mut fixture);
        let checkout = fixture.asked.checkout.clone();
        let Some(said) = by_cargo(&fixture, &checkout) else {
            return skip("cargo 1.91", "cargo says where its build directory is");
        };
        let keys = fixture.keys();
        assert_eq!(keys.warnings, Vec::<String>::new(), "{what}");
        assert_eq!(
            found(&keys),
            local_cache::cargo::project::workspace::normalize_path(&said),
            "{what}"
        );
        // A member means its workspace, and a symlink its target.
        configure(&fixture, "{cargo-cache-home}/{workspace-path-hash}");
        let member = fixture.path("crates/a");
        let link = fixture.path("~/link");
        symlink(&checkout, &link).unwrap();
        for root in [member, link] {
            fixture.asked.workspaces = vec![WorkspaceRequest {
                root: root.clone(),
                target: None,
            }];
            let relative = fixture
                .asked
                .env
                .get(std::ffi::OsStr::new("CARGO_BUILD_BUILD_DIR"));
            if relative.is_none_or(|value| Path::new(value).is_absolute()) {
                assert_eq!(
                    Some(found(&fixture.keys()).to_owned()),
                    by_cargo(&fixture, &root),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn a_template_that_cargo_refuses_is_reported_and_not_cached() {
    let fixture = fixture();
    configure(&fixture, "{elsewhere}/build");
    let keys = fixture.keys();
    assert!(keys.target[0].build_dirs.is_empty());
    let [warning] = &keys.warnings[..] else {
        panic!("{:?}", keys.warnings)
    };
    assert!(
        warning.contains("`{elsewhere}/build`") && warning.contains("no variable"),
        "{warning}"
    );
}

#[test]
fn a_directory_shared_by_several_targets_belongs_to_the_first() {
    let mut fixture = fixture();
    fixture.write("../other/Cargo.toml", "[package]\nname = 'other'\n");
    fixture.set("CARGO_BUILD_BUILD_DIR", "/mnt/build");
    let of = |root| WorkspaceRequest { root, target: None };
    fixture.asked.workspaces = vec![of(fixture.path("../other")), of(fixture.path("."))];
    let keys = fixture.keys();
    let builds: Vec<&[PathBuf]> = keys
        .target
        .iter()
        .map(|target| &target.build_dirs[..])
        .collect();
    assert_eq!(builds, [&[PathBuf::from("/mnt/build")][..], &[]]);
    // Nor is the target directory of another workspace.
    let target = fixture.path("target");
    fixture.set("CARGO_BUILD_BUILD_DIR", &target);
    assert!(
        fixture
            .keys()
            .target
            .iter()
            .all(|target| target.build_dirs.is_empty())
    );
}
