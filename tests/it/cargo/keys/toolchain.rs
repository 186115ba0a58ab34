//! Which compiler is found with a simulated rustup, without one, and with the real one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_cache::cargo::gather::gather;
use local_cache::cargo::key::{CargoKeys, compute_keys};
use local_cache::cargo::project::facts::KeyRequest;
use local_cache::fs::Local;

use super::support::{Fixture, toolchain};
use crate::support::tools::skip;

/// Which compiler a specification selects.
#[test]
fn a_toolchain_is_resolved_as_by_rustup() {
    let found = |change: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        toolchain(&fixture.keys())
    };
    let expected = |build: &str, name: &str| {
        (
            format!("rustc_driver-{build}"),
            format!("installed as {name}"),
        )
    };
    let pinned = expected("190", "1.90-x86_64-unknown-linux-gnu");
    let stable = expected("5ab1e", "stable-x86_64-unknown-linux-gnu");
    assert_eq!(found(&|_| {}), pinned);
    assert_eq!(found(&|it| it.remove("rust-toolchain.toml")), stable);
    assert_eq!(found(&|it| it.write("rust-toolchain", "stable")), stable);
    assert_eq!(found(&|it| it.set("RUSTUP_TOOLCHAIN", "stable")), stable);
    let overridden = |at: &'static str| {
        move |it: &mut Fixture| {
            let directory = it.path(at).components().collect::<PathBuf>();
            it.write(
                "~/.rustup/settings.toml",
                &format!("[overrides]\n'{}' = 'stable'\n", directory.display()),
            );
        }
    };
    assert_eq!(found(&overridden("")), stable);
    assert_eq!(found(&overridden("~/")), pinned);
    assert_eq!(
        found(&|it| {
            it.write("rust-toolchain.toml", "[toolchain]\npath = 'own'\n");
            it.write("own/lib/librustc_driver-07.so", "");
        })
        .0,
        "rustc_driver-07"
    );
    // `rustc` in PATH may also be a hard link to rustup.
    assert_eq!(
        found(&|it| {
            it.remove("~/.cargo/bin/rustc");
            fs::hard_link(
                it.path("~/.cargo/bin/rustup"),
                it.path("~/.cargo/bin/rustc"),
            )
            .unwrap();
        }),
        pinned
    );
    // rustup's home may be moved, and a toolchain linked into it.
    assert_eq!(
        found(&|it| {
            it.write("~/rust/lib/librustc_driver-11.so", "");
            fs::create_dir_all(it.path("~/elsewhere/toolchains")).unwrap();
            symlink(it.path("~/rust"), it.path("~/elsewhere/toolchains/mine")).unwrap();
            it.set("RUSTUP_TOOLCHAIN", "mine");
            it.asked.rustup_home = it.path("~/elsewhere");
        }),
        expected("11", "mine")
    );
}

#[test]
fn a_missing_toolchain_is_identified_by_its_name() {
    let fixture = Fixture::new();
    fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = '1.50.0'\n");
    let keys = fixture.keys();
    assert_eq!(
        toolchain(&keys),
        ("1.50.0".to_owned(), "1.50.0 is not installed".to_owned())
    );
    assert_eq!(keys.target[0].key.text, fixture.keys().target[0].key.text);
    assert!(keys.warnings.is_empty(), "{:?}", keys.warnings);
    // Another missing toolchain gives another key.
    fixture.write("rust-toolchain.toml", "[toolchain]\nchannel = '1.51.0'\n");
    assert_ne!(
        keys.target[0].key.restore_keys,
        fixture.keys().target[0].key.restore_keys
    );
}

#[test]
fn two_names_of_one_compiler_share_a_cache() {
    let mut fixture = Fixture::new();
    fixture.write(
        "~/.rustup/toolchains/1.91-x86_64-unknown-linux-gnu/lib/librustc_driver-5ab1e.so",
        "",
    );
    let restore = |fixture: &Fixture| fixture.keys().target[0].key.restore_keys.clone();
    fixture.set("RUSTUP_TOOLCHAIN", "stable");
    let stable = restore(&fixture);
    fixture.set("RUSTUP_TOOLCHAIN", "1.91");
    assert_eq!(restore(&fixture), stable);
    // An update is another compiler with the same name.
    fs::rename(
        fixture.path(
            "~/.rustup/toolchains/1.91-x86_64-unknown-linux-gnu/lib/librustc_driver-5ab1e.so",
        ),
        fixture.path("~/.rustup/toolchains/1.91-x86_64-unknown-linux-gnu/lib/librustc_driver-2.so"),
    )
    .unwrap();
    assert_ne!(restore(&fixture), stable);
}

#[test]
fn a_system_compiler_is_identified_by_its_driver_in_any_directory() {
    for lib in ["lib", "lib64", "lib/x86_64-linux-gnu"] {
        let mut fixture = Fixture::new();
        fixture.write("~/usr/lib/rust-1.90/bin/rustc", "#!");
        fixture.write(
            &format!("~/usr/lib/rust-1.90/{lib}/librustc_driver-dead.so"),
            "",
        );
        fixture.write("~/usr/bin/other", "");
        symlink(
            "../lib/rust-1.90/bin/rustc",
            fixture.path("~/usr/bin/rustc"),
        )
        .unwrap();
        let path = format!(
            "{}:{}",
            fixture.path("~/usr/bin").display(),
            fixture.path("~/.cargo/bin").display()
        );
        fixture.set("PATH", path);
        let found = toolchain(&fixture.keys());
        assert_eq!(
            found,
            (
                "rustc_driver-dead".to_owned(),
                "no rustup; librustc_driver-dead.so".to_owned()
            ),
            "{lib}"
        );
    }
}

#[test]
fn a_compiler_without_a_driver_is_identified_by_its_contents() {
    let mut fixture = Fixture::new();
    fixture.write("~/opt/bin/rustc", "one");
    let path = fixture.path("~/opt/bin");
    fixture.set("PATH", path);
    let (one, note) = toolchain(&fixture.keys());
    assert_eq!(note, "no rustup; identified by the program's contents");
    fixture.write("~/opt/bin/rustc", "two");
    assert_ne!(toolchain(&fixture.keys()).0, one);
}

#[test]
fn rustup_is_found_without_a_path_and_more_in_it_changes_nothing() {
    let mut fixture = Fixture::new();
    let keys = fixture.keys();
    fixture.asked.env.remove(std::ffi::OsStr::new("PATH"));
    assert_eq!(fixture.keys(), keys);
    let path = format!(
        "/nowhere::relative:{}:/x",
        fixture.path("~/.cargo/bin").display()
    );
    fixture.set("PATH", path);
    assert_eq!(fixture.keys(), keys);
}

#[test]
fn broken_settings_of_rustup_are_reported_and_the_toolchain_file_still_counts() {
    let fixture = Fixture::new();
    let keys = fixture.keys();
    fixture.write("~/.rustup/settings.toml", "default_toolchain = [\n");
    let broken = fixture.keys();
    assert_eq!(broken.target, keys.target);
    assert_eq!(broken.warnings.len(), 1);
    assert!(
        broken.warnings[0].ends_with("; rustup's default toolchain is unknown"),
        "{:?}",
        broken.warnings
    );
    fixture.remove("rust-toolchain.toml");
    assert_eq!(
        toolchain(&fixture.keys()),
        (
            "not found".to_owned(),
            "rustup has no default toolchain".to_owned()
        )
    );
}

/// The environment of the tests without the variables that cargo adds for its children.
fn real() -> Option<KeyRequest> {
    let env: BTreeMap<_, _> = std::env::vars_os()
        .filter(|(name, _)| name != "RUSTUP_TOOLCHAIN" && name != "CARGO_HOME")
        .collect();
    let home = PathBuf::from(env.get(std::ffi::OsStr::new("HOME"))?);
    let asked = KeyRequest::new(env, &home, Path::new("/"));
    asked
        .rustup_home
        .join("toolchains")
        .is_dir()
        .then_some(asked)
}

/// The sysroot that rustc itself reports in a directory.
fn sysroot(directory: &Path, toolchain: Option<&str>) -> Option<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--print", "sysroot"])
        .current_dir(directory)
        .env_remove("RUSTUP_TOOLCHAIN");
    if let Some(toolchain) = toolchain {
        rustc.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    let output = rustc.output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

#[test]
fn the_real_rustup_chooses_the_same_compiler() {
    let what = "comparison with the real rustup";
    let project = tempfile::tempdir().unwrap();
    let project = project.path().canonicalize().unwrap();
    let (Some(asked), Some(_)) = (real(), sysroot(&project, None)) else {
        return skip("rustup", what);
    };
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(
        project.join("Cargo.toml"),
        "[package]\nname = 'p'\nversion = '0.1.0'\n",
    )
    .unwrap();
    let names = fs::read_dir(asked.rustup_home.join("toolchains")).unwrap();
    let mut names: Vec<String> = names
        .map(|name| name.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let keys_with = |variable: Option<&str>| -> CargoKeys {
        let mut asked = asked.clone();
        asked.workspaces[0].root.clone_from(&project);
        if let Some(name) = variable {
            asked.env.insert("RUSTUP_TOOLCHAIN".into(), name.into());
        }
        compute_keys(&gather(&asked, &Local::default()))
    };
    let check = |variable: Option<&str>, case: &str| {
        let lib = sysroot(&project, variable).unwrap().join("lib");
        let (driver, _) = toolchain(&keys_with(variable));
        assert!(driver.starts_with("rustc_driver-"), "{case}: {driver}");
        assert!(
            lib.join(format!("lib{driver}.so")).exists(),
            "{case}: {driver} is not in {}",
            lib.display()
        );
    };
    check(None, "the default");
    for name in &names {
        check(Some(name), name);
        let short: String = name.split("-x86_64-").next().unwrap().to_owned();
        check(Some(&short), &short);
        fs::write(project.join("rust-toolchain"), format!("{short}\n")).unwrap();
        check(None, "a file of one line");
        fs::remove_file(project.join("rust-toolchain")).unwrap();
        fs::write(
            project.join("rust-toolchain.toml"),
            format!("[toolchain]\nchannel = '{short}'\n"),
        )
        .unwrap();
        check(None, "a file of TOML");
        fs::remove_file(project.join("rust-toolchain.toml")).unwrap();
    }
}
