//! Where sources can be: in a repository, beside or below it, in git, in another job's directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::{Files, Runner, Step, Times, app_output, check_out, package, pair, project};

fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn commit(directory: &Path) {
    git(directory, &["add", "--all"]);
    git(directory, &["commit", "--quiet", "--message=change"]);
}

#[test]
fn a_fresh_clone_compiles_nothing_and_a_commit_just_what_it_changed() {
    let runner = Runner::new();
    let origin = runner.path("origin");
    check_out(&project(), &origin, Times::Now);
    git(&origin, &["init", "--quiet"]);
    commit(&origin);
    let clone = |name: &str| {
        let checkout = runner.path(name).join("repo");
        git(
            &runner.path(""),
            &["clone", "--quiet", "origin", checkout.to_str().unwrap()],
        );
        checkout
    };
    let first = clone("one");
    assert!(runner.build(&first).succeeded);
    // It stays in the directory, untracked and newer than everything. If it is missing later,
    // nothing is compiled.
    fs::write(first.join("plain/report.txt"), "left behind").unwrap();
    runner.save(&Step::of(&first), "key");

    let same = clone("two");
    let given = runner.restore(&Step::of(&same), "key");
    assert_eq!(
        (given.different, given.renewed, given.distrusted),
        (0, 0, false)
    );
    runner.build(&same).compiled_only(&[], "a fresh clone");

    fs::remove_file(origin.join("plain/files/one.txt")).unwrap();
    fs::write(origin.join("lib/data.txt"), "data9\n").unwrap();
    commit(&origin);
    let changed = clone("three");
    runner.restore(&Step::of(&changed), "key");
    runner
        .build(&changed)
        .compiled_only(&["app", "lib", "plain"], "a commit");
    assert_eq!(app_output(&changed), runner.clean_app_output(&changed));
}

#[test]
fn a_lock_file_that_git_ignores_runs_no_build_script() {
    let runner = Runner::new();
    let checkout = runner.path("repo");
    let mut files = pair("lib", ".", "lib");
    files.insert("build.rs".into(), "fn main() {}\n".into());
    files.insert(".gitignore".into(), "/target\nCargo.lock\n".into());
    let lay = || {
        check_out(&files, &checkout, Times::Now);
        git(&checkout, &["init", "--quiet"]);
        commit(&checkout);
    };
    lay();
    assert!(runner.build(&checkout).succeeded);
    assert!(checkout.join("Cargo.lock").exists());
    runner.save(&Step::of(&checkout), "key");
    lay();
    runner.restore(&Step::of(&checkout), "key");
    runner
        .build(&checkout)
        .compiled_only(&[], "only the lock file was made again");
}

#[test]
fn a_package_beside_the_workspace_is_fresh_and_stale_like_one_in_it() {
    let runner = Runner::new();
    let (work, checkout) = (runner.path("work"), runner.path("work/repo"));
    let mut files = Files::new();
    package(
        &mut files,
        "repo",
        "[dependencies]\nbeside = { path = \"../beside/crates/beside\" }\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n",
        &[("src/main.rs", "fn main() { println!(\"{}\", beside::N) }\n")],
    );
    package(
        &mut files,
        "beside/crates/beside",
        "",
        &[("src/lib.rs", "pub const N: u32 = 1;\n")],
    );
    check_out(&files, &work, Times::Now);
    runner
        .build(&checkout)
        .compiled_only(&["beside", "repo"], "the first build");
    runner.save(&Step::of(&checkout), "key");

    for times in [Times::Now, Times::Old] {
        check_out(&files, &work, times);
        runner.restore(&Step::of(&checkout), "key");
        runner
            .build(&checkout)
            .compiled_only(&[], "nothing changed");
    }
    files.insert(
        "beside/crates/beside/src/lib.rs".into(),
        "pub const N: u32 = 2;\n".into(),
    );
    for times in [Times::Now, Times::Old] {
        check_out(&files, &work, times);
        runner.restore(&Step::of(&checkout), "key");
        runner
            .build(&checkout)
            .compiled_only(&["beside", "repo"], "the package beside it changed");
        assert_eq!(app_output(&checkout), "2\n");
    }
}

#[test]
fn a_package_that_a_patch_puts_in_the_place_of_another_is_fresh_too() {
    let runner = Runner::new();
    let (work, checkout) = (runner.path("work"), runner.path("work/repo"));
    let mut files = pair("repo/lib", "repo", "lib");
    package(
        &mut files,
        "own",
        "",
        &[("src/lib.rs", "pub const N: u32 = 5;\n")],
    );
    // The patched package is in a directory that replaces a registry.
    package(
        &mut files,
        "vendor/own",
        "",
        &[("src/lib.rs", "pub const N: u32 = 0;\n")],
    );
    files.insert(
        "vendor/own/.cargo-checksum.json".into(),
        "{\"files\":{}}".into(),
    );
    let manifest = files.get_mut("repo/Cargo.toml").unwrap();
    *manifest = manifest.replace("[dependencies]\n", "[dependencies]\nown = \"0.1\"\n")
        + "[patch.crates-io]\nown = { path = \"../own\" }\n";
    files.insert(
        "repo/src/main.rs".into(),
        "fn main() { println!(\"{}\", own::N + lib::N) }\n".into(),
    );
    files.insert(
        "repo/.cargo/config.toml".into(),
        "[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = \"../vendor\"\n".into(),
    );
    check_out(&files, &work, Times::Now);
    runner
        .build(&checkout)
        .compiled_only(&["lib", "own", "repo"], "the first build");
    runner.save(&Step::of(&checkout), "key");
    check_out(&files, &work, Times::Now);
    runner.restore(&Step::of(&checkout), "key");
    runner
        .build(&checkout)
        .compiled_only(&[], "nothing changed");
}

#[test]
fn a_workspace_in_a_subdirectory_sees_changes_in_all_of_its_repository() {
    let runner = Runner::new();
    let (checkout, workspace) = (runner.path("repo"), runner.path("repo/deep/ws"));
    let mut files = pair("deep/ws/lib", "deep/ws", "lib");
    files.insert(
        "deep/ws/lib/src/lib.rs".into(),
        "pub const N: usize = include_str!(\"../../../../top.txt\").len();\n".into(),
    );
    files.insert("top.txt".into(), "12345".into());
    let step = || Step {
        workspaces: vec![workspace.clone()],
        ..Step::of(&checkout)
    };
    check_out(&files, &checkout, Times::Now);
    runner
        .build(&workspace)
        .compiled_only(&["lib", "ws"], "the first build");
    runner.save(&step(), "key");
    check_out(&files, &checkout, Times::Now);
    runner.restore(&step(), "key");
    runner
        .build(&workspace)
        .compiled_only(&[], "nothing changed");
    files.insert("top.txt".into(), "123".into());
    check_out(&files, &checkout, Times::Old);
    runner.restore(&step(), "key");
    runner
        .build(&workspace)
        .compiled_only(&["lib", "ws"], "a file of the repository changed");
    assert_eq!(app_output(&workspace), "3\n");
}

#[test]
fn a_git_dependency_stays_fresh_after_a_new_checkout() {
    let runner = Runner::new();
    let (dependency, checkout) = (runner.path("dependency"), runner.path("repo"));
    let mut files = Files::new();
    package(
        &mut files,
        "dependency",
        "",
        &[
            ("src/lib.rs", "pub const N: u32 = 7;\n"),
            ("build.rs", "fn main() {}\n"),
        ],
    );
    package(
        &mut files,
        "repo",
        &format!(
            "[dependencies]\ndependency = {{ git = \"file://{}\" }}\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\n",
            dependency.display()
        ),
        &[(
            "src/main.rs",
            "fn main() { println!(\"{}\", dependency::N) }\n",
        )],
    );
    check_out(&files, &runner.path(""), Times::Now);
    git(&dependency, &["init", "--quiet"]);
    commit(&dependency);
    assert!(runner.build(&checkout).succeeded);
    files.insert(
        "repo/Cargo.lock".into(),
        fs::read_to_string(checkout.join("Cargo.lock")).unwrap(),
    );
    let files = files
        .into_iter()
        .filter_map(|(name, text)| Some((name.strip_prefix("repo/")?.to_owned(), text)));
    let files: Files = files.collect();
    runner.save(&Step::of(&checkout), "key");
    fs::remove_dir_all(runner.path("cargo-home/git/checkouts")).unwrap();
    check_out(&files, &checkout, Times::Now);
    runner.restore(&Step::of(&checkout), "key");
    runner
        .build(&checkout)
        .compiled_only(&[], "nothing changed");
}

#[test]
fn a_symlink_is_never_followed_and_has_its_own_time() {
    let runner = Runner::new();
    let (checkout, outside) = (runner.path("repo"), runner.path("outside"));
    let files = pair("lib", ".", "lib");
    let lay = |text: &str| {
        check_out(&files, &checkout, Times::Now);
        if outside.exists() {
            fs::remove_dir_all(&outside).unwrap();
        }
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("data.txt"), text).unwrap();
        std::os::unix::fs::symlink(&outside, checkout.join("linked")).unwrap();
    };
    lay("one");
    let step = Step::of(&checkout);
    assert!(runner.build(&checkout).succeeded);
    runner.save(&step, "key");
    let time = |path: &Path| fs::symlink_metadata(path).unwrap().modified().unwrap();
    let recorded = time(&checkout.join("linked"));
    lay("one");
    let laid = time(&outside.join("data.txt"));
    runner.restore(&step, "key");
    assert_eq!(time(&checkout.join("linked")), recorded);
    assert_eq!(
        time(&outside.join("data.txt")),
        laid,
        "it is outside of the checkout"
    );
}
