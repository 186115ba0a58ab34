//! How a project is read: its root, members and target directory, and its mistakes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use local_cache::cargo::gather::gather;
use local_cache::cargo::project::facts::WorkspaceRequest;
use local_cache::fs::Local;

use super::support::Fixture;

/// The directories of the manifests that are found, relative to the checkout.
fn manifests(fixture: &Fixture) -> Vec<String> {
    let facts = gather(&fixture.asked, &Local::default());
    let project = facts.workspaces[0].project.as_ref().unwrap();
    let directory = |path: &Path| {
        let directory = path.parent().unwrap();
        match directory.strip_prefix(&fixture.asked.checkout) {
            Ok(below) => below.display().to_string(),
            Err(_) => format!("../{}", directory.file_name().unwrap().to_string_lossy()),
        }
    };
    project
        .manifests
        .iter()
        .map(|file| directory(&file.path))
        .collect()
}

#[test]
fn members_are_those_of_cargo() {
    let fixture = Fixture::new();
    assert_eq!(manifests(&fixture), ["", "crates/a", "crates/b"]);
    fixture.write(
        "crates/b/Cargo.toml",
        "[package]\nname = 'b'\n[dependencies]\nin = { path = 'in' }\nx = { path = '../../../x' }\n",
    );
    fixture.write(
        "crates/b/in/Cargo.toml",
        "[package]\nname = 'in'\n[build-dependencies]\na = { path = '../../a' }\n",
    );
    fixture.write("../x/Cargo.toml", "[package]\nname = 'x'\n");
    fixture.write("crates/no-package/readme", "");
    fixture.write("crates/file", "");
    assert_eq!(
        manifests(&fixture),
        ["", "crates/a", "crates/b", "crates/b/in", "../x"]
    );
}

/// The members that cargo itself finds, in the form of [`manifests`].
fn members_by_cargo(fixture: &Fixture) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(&fixture.asked.checkout)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut directories: Vec<String> = packages
        .iter()
        .map(|package| {
            Path::new(package["manifest_path"].as_str().unwrap())
                .parent()
                .unwrap()
        })
        .map(|directory| {
            directory
                .strip_prefix(&fixture.asked.checkout)
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    directories.sort();
    directories
}

#[test]
fn cargo_finds_the_same_members() {
    for (members, exclude) in [
        ("'crates/*'", "'crates/out'"),
        ("'crates/*', 'tools/?'", ""),
        ("'crates/*', 'crates/out'", "'crates/out'"),
        ("'crates/[ab]', 'tools/t/deep'", "'tools'"),
        ("'**/t'", ""),
        ("'./crates/a', 'crates/../tools/t'", ""),
    ] {
        let fixture = Fixture::new();
        fixture.remove("rust-toolchain.toml");
        fixture.write(
            "Cargo.toml",
            &format!("[workspace]\nmembers = [{members}]\nexclude = [{exclude}]\n"),
        );
        for name in [
            "crates/a",
            "crates/b",
            "crates/out",
            "tools/t",
            "tools/t/deep",
        ] {
            let package = name.rsplit('/').next().unwrap();
            fixture.write(&format!("{name}/src/lib.rs"), "");
            let own = if package == "a" {
                "[dependencies]\nb = { path = '../b' }\n"
            } else {
                ""
            };
            let manifest = format!(
                "[package]\nname = '{package}'\nversion = '0.1.0'\nedition = '2021'\n{own}"
            );
            fixture.write(&format!("{name}/Cargo.toml"), &manifest);
        }
        let found: Vec<String> = manifests(&fixture).into_iter().skip(1).collect();
        assert_eq!(
            found,
            members_by_cargo(&fixture),
            "members {members}, exclude {exclude}"
        );
    }
}

#[test]
fn members_by_name_and_default_members_count_and_one_by_name_is_not_excluded() {
    let fixture = Fixture::new();
    fixture.write("tools/t/Cargo.toml", "[package]\nname = 't'\n");
    fixture.write(
        "Cargo.toml",
        "[workspace]\nmembers = ['crates/out', 'crates/gone']\ndefault-members = ['tools/*']\nexclude = ['crates']\n",
    );
    assert_eq!(manifests(&fixture), ["", "crates/out", "tools/t"]);
}

#[test]
fn a_member_stands_for_its_workspace() {
    let mut fixture = Fixture::new();
    let whole = fixture.keys();
    let root = fixture.path("crates/a");
    fixture.asked.workspaces = vec![WorkspaceRequest { root, target: None }];
    let keys = fixture.keys();
    assert_eq!(keys.target[0].key, whole.target[0].key);
    assert_eq!(keys.target[0].directory, whole.target[0].directory);
    // An excluded member is a project of its own.
    let root = fixture.path("crates/out");
    fixture.asked.workspaces = vec![WorkspaceRequest {
        root: root.clone(),
        target: None,
    }];
    assert_eq!(fixture.keys().target[0].directory, root.join("target"));
    // A member may name its workspace.
    fixture.write(
        "crates/out/Cargo.toml",
        "[package]\nname = 'out'\nworkspace = '../..'\n",
    );
    assert_eq!(
        fixture.keys().target[0].directory,
        whole.target[0].directory
    );
}

#[test]
fn several_workspaces_share_registry_and_git_in_any_order() {
    let mut fixture = Fixture::new();
    fixture.write("../other/Cargo.toml", "[package]\nname = 'other'\n");
    fixture.write(
        "../other/Cargo.lock",
        "[[package]]\nname = 'x'\nversion = '1.0.0'\nsource = 'registry+x'\n",
    );
    let alone = fixture.keys();
    let of = |root| WorkspaceRequest { root, target: None };
    let (own, other) = (of(fixture.path(".")), of(fixture.path("../other")));
    fixture.asked.workspaces = vec![own.clone(), other.clone()];
    let both = fixture.keys();
    fixture.asked.workspaces = vec![other, own];
    let turned = fixture.keys();
    assert_ne!(both.registry.text, alone.registry.text);
    assert_eq!(
        (&both.registry.text, &both.git.text),
        (&turned.registry.text, &turned.git.text)
    );
    assert_eq!(both.target.len(), 2);
    assert_eq!(both.target[0].key.text, alone.target[0].key.text);
    assert_eq!(both.target[0], turned.target[1]);
}

/// A setting of the target directory, and the resulting path below the checkout.
#[test]
fn the_target_directory_is_where_cargo_puts_it() {
    let target = |change: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let directory = fixture.keys().target[0].directory.clone();
        directory
            .strip_prefix(fixture.path(""))
            .map_or(directory.clone(), Path::to_owned)
    };
    let config = |fixture: &mut Fixture| {
        fixture.write(".cargo/config.toml", "[build]\ntarget-dir = 'config'\n");
    };
    let by_cargo = |fixture: &mut Fixture| {
        config(fixture);
        fixture.set("CARGO_BUILD_TARGET_DIR", "build-variable");
    };
    let by_variable = |fixture: &mut Fixture| {
        by_cargo(fixture);
        fixture.set("CARGO_TARGET_DIR", "variable");
    };
    let asked = |target: &'static str| {
        move |fixture: &mut Fixture| {
            by_variable(fixture);
            fixture.asked.workspaces[0].target = Some(target.into());
        }
    };
    assert_eq!(target(&|_| {}), Path::new("target"));
    assert_eq!(target(&config), Path::new("config"));
    assert_eq!(target(&by_cargo), Path::new("build-variable"));
    assert_eq!(target(&by_variable), Path::new("variable"));
    assert_eq!(target(&asked("asked/../own")), Path::new("own"));
    assert_eq!(target(&asked("/mnt/target")), Path::new("/mnt/target"));
}

#[test]
fn the_lock_file_is_the_one_that_cargo_uses() {
    let mut fixture = Fixture::new();
    let lock = |fixture: &Fixture| {
        let lock = gather(&fixture.asked, &Local::default()).workspaces[0]
            .project
            .as_ref()
            .unwrap()
            .lock
            .clone()
            .unwrap();
        lock.path.strip_prefix(fixture.path("")).unwrap().to_owned()
    };
    assert_eq!(lock(&fixture), Path::new("Cargo.lock"));
    fixture.write(
        ".cargo/config.toml",
        "[resolver]\nlockfile-path = 'locks/Cargo.lock'\n",
    );
    assert_eq!(
        lock(&fixture),
        Path::new("Cargo.lock"),
        "it is not there yet"
    );
    let before = fixture.keys();
    fixture.write("locks/Cargo.lock", "version = 4\n");
    assert_eq!(lock(&fixture), Path::new("locks/Cargo.lock"));
    assert_ne!(fixture.keys().registry.text, before.registry.text);
    fixture.write("other/Cargo.lock", "version = 4\n");
    fixture.set("CARGO_RESOLVER_LOCKFILE_PATH", "other/Cargo.lock");
    assert_eq!(lock(&fixture), Path::new("other/Cargo.lock"));
    fixture.write("other/names.lock", "version = 4\n");
    fixture.set("CARGO_RESOLVER_LOCKFILE_PATH", "other/names.lock");
    assert_eq!(
        lock(&fixture),
        Path::new("Cargo.lock"),
        "cargo does not take it"
    );
}

#[test]
fn included_configuration_counts_and_may_go_in_circles() {
    let fixture = Fixture::new();
    fixture.write(
        ".cargo/config.toml",
        "include = ['more.toml', { path = 'gone.toml', optional = true }]\n",
    );
    fixture.write(
        ".cargo/more.toml",
        "include = 'config.toml'\n[env]\nA = '1'\n",
    );
    let before = fixture.keys();
    fixture.write(
        ".cargo/more.toml",
        "include = 'config.toml'\n[env]\nA = '2'\n",
    );
    assert_ne!(fixture.keys().target[0].key.text, before.target[0].key.text);
}

/// A broken file, and the start of the one line about it.
#[test]
fn a_broken_file_is_hashed_as_bytes_and_reported_in_one_line() {
    for (name, text) in [
        ("Cargo.lock", "<<<<<<< HEAD\n"),
        ("Cargo.toml", "[workspace\n"),
        ("crates/a/Cargo.toml", "[package]\nname = \n"),
        (".cargo/config.toml", "rustflags\n"),
        ("rust-toolchain.toml", "1.90\n"),
    ] {
        let fixture = Fixture::new();
        let whole = fixture.keys();
        fixture.write(name, text);
        let broken = fixture.keys();
        let path = fixture.path(name);
        assert_eq!(broken.warnings.len(), 1, "{name}: {:?}", broken.warnings);
        let warning = &broken.warnings[0];
        assert!(
            warning.starts_with(&format!("cannot parse {}: ", path.display())),
            "{warning}"
        );
        assert!(!warning.contains('\n'), "{warning}");
        assert_ne!(
            broken.target[0].key.text, whole.target[0].key.text,
            "{name}"
        );
        assert_eq!(
            broken.target[0].key.text,
            fixture.keys().target[0].key.text,
            "{name}"
        );
        fixture.write(name, &format!("{text}#"));
        assert_ne!(
            broken.target[0].key.text,
            fixture.keys().target[0].key.text,
            "{name}"
        );
    }
}

#[test]
fn a_missing_workspace_does_not_affect_the_others() {
    let mut fixture = Fixture::new();
    let whole = fixture.keys();
    fixture.write("empty/readme", "");
    let of = |root| WorkspaceRequest { root, target: None };
    let (gone, empty) = (fixture.path("gone"), fixture.path("empty"));
    fixture.asked.workspaces = vec![of(gone.clone()), of(fixture.path("")), of(empty.clone())];
    let keys = fixture.keys();
    assert_eq!(
        (&keys.registry, &keys.target[..]),
        (&whole.registry, &whole.target[..])
    );
    let line = |path: &Path| {
        format!(
            "there is no Cargo project in {}, so it has no cache; name the directory of a Cargo.toml in workspaces",
            path.display()
        )
    };
    assert_eq!(keys.warnings, [line(&gone), line(&empty)]);
}

#[test]
fn special_files_in_place_of_project_files_are_ignored() {
    let fixture = Fixture::new();
    let before = fixture.keys();
    for name in ["Cargo.lock", "rust-toolchain.toml"] {
        fixture.remove(name);
    }
    let without = fixture.keys();
    fs::create_dir(fixture.path("Cargo.lock")).unwrap();
    nix::unistd::mkfifo(
        &fixture.path("rust-toolchain.toml"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    symlink("gone", fixture.path("rust-toolchain")).unwrap();
    let odd = fixture.keys();
    assert_eq!(
        (&odd.registry, &odd.target),
        (&without.registry, &without.target)
    );
    assert!(odd.warnings.is_empty(), "{:?}", odd.warnings);
    assert_ne!(odd.target, before.target);
}

#[test]
fn a_checkout_behind_a_symlink_has_the_same_keys() {
    let mut fixture = Fixture::new();
    let direct = fixture.keys();
    let link = fixture.root().join("link");
    symlink(fixture.path(""), &link).unwrap();
    fixture.asked.workspaces = vec![WorkspaceRequest {
        root: link,
        target: None,
    }];
    let behind = fixture.keys();
    assert_eq!(behind.target[0].key.text, direct.target[0].key.text);
}
