//! What a list of paths saves, and where it is restored to.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::machine::{Job, Machine, mode, set_mode};

/// Existing files, the list of paths, and the files that it saves. All are below the workspace or
/// home.
fn check(files: &[&str], path: &str, kept: &[&str]) {
    let machine = Machine::new();
    let job = machine.job();
    for name in files {
        job.file(name, name);
    }
    job.saved(path, "k");
    fs::remove_dir_all(machine.home()).unwrap();
    fs::create_dir(machine.home()).unwrap();
    let later = machine.job();
    assert_eq!(later.found(path, "k", "").as_deref(), Some("k"));
    let found: Vec<&str> = files
        .iter()
        .copied()
        .filter(|name| later.locate(name).exists())
        .collect();
    assert_eq!(found, kept);
    for name in kept {
        assert_eq!(later.read(name).as_deref(), Some(*name));
    }
}

macro_rules! lists {
    ($($name:ident: [$($file:expr),*], $path:expr => [$($kept:expr),*];)*) => {
        $(#[test]
        fn $name() {
            check(&[$($file),*], $path, &[$($kept),*]);
        })*
    };
}

lists! {
    a_directory: ["a/x", "b/x"], "a" => ["a/x"];
    a_single_file: ["bin/tool", "bin/other"], "bin/tool" => ["bin/tool"];
    a_single_file_at_home: ["~/.cargo/bin/tool", "~/.cargo/x"], "~/.cargo/bin/tool" => ["~/.cargo/bin/tool"];
    hidden_files: [".cargo/config", ".env", "x"], ".*" => [".cargo/config", ".env"];
    hidden_files_inside: ["a/.git/x", "a/.b"], "a" => ["a/.git/x", "a/.b"];
    home_by_a_tilde: ["~/.m2/repository/a", "~/.m2/settings"], "~/.m2/repository" => ["~/.m2/repository/a"];
    workspace_and_home_in_one_list: ["target/a", "~/.cargo/registry/b"], "~/.cargo/registry\ntarget"
        => ["target/a", "~/.cargo/registry/b"];
    a_tilde_in_the_middle_is_a_name: ["a/~/x", "~/x"], "a/~" => ["a/~/x"];
    a_tilde_with_a_name_is_a_name: ["~user/x", "~/x"], "~user" => ["~user/x"];
    a_tilde_with_a_backslash_is_for_windows: ["~/AppData/x", "a/x"], "~\\AppData\na" => ["a/x"];
    a_variable_is_a_name: ["$HOME/x", "~/x"], "$HOME" => ["$HOME/x"];
    comment_lines: ["a/x", "b/x"], "# the first\na\n  # b\n" => ["a/x"];
    blank_lines: ["a/x", "b/x"], "\n\n a \n\n\tb\t\n\n" => ["a/x", "b/x"];
    windows_line_ends: ["a/x", "b/x"], "a\r\nb\r\n" => ["a/x", "b/x"];
    a_path_with_blanks: ["a b/x", "a/x"], "a b" => ["a b/x"];
    a_comma_is_a_name: ["a,b/x", "a/x"], "a,b" => ["a,b/x"];
    one_level: ["t/a/x", "t/b/x", "t/c"], "t/*/x" => ["t/a/x", "t/b/x"];
    hidden_names_by_a_star: ["t/a/.x", "t/a/x"], "t/*/.*" => ["t/a/.x"];
    a_question_mark: ["a1/x", "a22/x"], "a?" => ["a1/x"];
    a_class: ["a1/x", "a2/x", "a3/x"], "a[12]" => ["a1/x", "a2/x"];
    a_negated_class: ["a1/x", "a2/x"], "a[!1]" => ["a2/x"];
    braces_are_names: ["{a,b}/x", "a/x"], "{a,b}" => ["{a,b}/x"];
    an_escaped_star_is_a_name: ["a*/x", "ab/x"], "a\\*" => ["a*/x"];
    two_stars_match_at_every_depth: ["node_modules/x", "p/q/node_modules/y", "p/z"], "**/node_modules"
        => ["node_modules/x", "p/q/node_modules/y"];
    a_match_inside_a_match: ["node_modules/x", "node_modules/a/node_modules/y"], "**/node_modules"
        => ["node_modules/x", "node_modules/a/node_modules/y"];
    a_pattern_that_begins_with_a_star: ["a.wasm", "b.wasm", "c.js"], "*.wasm" => ["a.wasm", "b.wasm"];
    two_levels_at_home: ["~/.m2/repository/a/b/x", "~/.m2/repository/y"], "~/.m2/repository/*/*"
        => ["~/.m2/repository/a/b/x"];
    a_list_that_names_a_directory_and_something_in_it: ["a/b/x", "a/y"], "a/b\na" => ["a/b/x", "a/y"];
    a_path_twice: ["a/x"], "a\na" => ["a/x"];
    a_slash_at_the_end_takes_directories_only: ["a/x", "f"], "a/\nf/" => ["a/x"];
    the_whole_workspace: ["a/x", ".git/y"], "./" => ["a/x", ".git/y"];
    the_whole_workspace_as_a_dot: ["a/x", ".git/y"], "." => ["a/x", ".git/y"];
    all_of_home: ["~/.a/x", "~/y", "z"], "~" => ["~/.a/x", "~/y"];
    everything_below_home: ["~/.a/x", "~/y", "z"], "~/**" => ["~/.a/x", "~/y"];
}

/// Two lists of paths, and whether they share entries.
macro_rules! identities {
    ($($name:ident: $one:expr, $other:expr, $same:expr;)*) => {
        $(#[test]
        fn $name() {
            let machine = Machine::new();
            let job = machine.job();
            for name in ["a/x", "b/x", "c/x", "~/c/x"] {
                job.file(name, name);
            }
            let workspace = |path: &str| path.replace("$WORKSPACE", job.workspace.to_str().unwrap());
            let home = |path: &str| path.replace("$HOME", machine.home().to_str().unwrap());
            job.saved(&home(&workspace($one)), "k-1");
            assert_eq!(job.found(&home(&workspace($other)), "k-1", "k-").is_some(), $same);
        })*
    };
}

identities! {
    a_dot_in_front_does_not_count: "a", "./a", true;
    a_slash_at_the_end_does_not_count: "a", "a/", true;
    doubled_slashes_do_not_count: "a/x", ".//a///x", true;
    the_workspaces_full_path_does_not_count: "a", "$WORKSPACE/a", true;
    the_homes_full_path_does_not_count: "~/c", "$HOME/c/", true;
    comments_do_not_count: "a", "# why\na", true;
    blanks_do_not_count: "a\nb", "  a\n\n\tb  ", true;
    blanks_after_an_exclamation_mark_do_not_count: "a\n!a/y", "a\n! a/y", true;
    two_exclamation_marks_do_not_count: "a", "!!a", true;
    the_order_counts: "a\nb", "b\na", false;
    the_number_counts: "a", "a\nb", false;
    a_path_twice_counts: "a", "a\na", false;
    an_exclusion_counts: "a", "a\n!a/y", false;
    another_exclusion_counts: "a\n!a/y", "a\n!a/z", false;
    the_same_name_at_home_is_another_path: "c", "~/c", false;
    a_pattern_is_not_what_it_stands_for: "a*", "a", false;
}

/// Saved by one job, restored by another after the change in the name of the test.
fn moved(save: &str, prepare: impl FnOnce(&Machine, &Job<'_>)) -> Option<String> {
    let machine = Machine::new();
    let job = machine.job();
    job.file("target/a", "1");
    job.file("~/.cargo/b", "2");
    job.saved(save, "k");
    let home = machine.path("other-home");
    fs::create_dir(&home).unwrap();
    let later = machine.job().var("HOME", &home);
    prepare(&machine, &later);
    later.found(save, "k", "")?;
    assert_eq!(later.read("target/a").as_deref(), Some("1"));
    assert_eq!(fs::read_to_string(home.join(".cargo/b")).unwrap(), "2");
    Some(fs::read_to_string(machine.home().join(".cargo/b")).unwrap())
}

#[test]
fn roots_are_restored_to_the_current_workspace_and_home() {
    let other = moved("target\n~/.cargo", |machine, _| {
        fs::write(machine.home().join(".cargo/b"), "of somebody else").unwrap();
    });
    assert_eq!(other.as_deref(), Some("of somebody else"));
}

#[test]
fn a_workspace_at_another_depth_is_a_hit() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("~/.m2/x", "1");
    job.saved("~/.m2", "k");
    fs::remove_dir_all(machine.path("home/.m2")).unwrap();
    let deep = machine.path("work/a/b/c/d");
    fs::create_dir_all(&deep).unwrap();
    let later = machine.job().var("GITHUB_WORKSPACE", &deep);
    assert_eq!(later.found("~/.m2", "k", "").as_deref(), Some("k"));
    assert_eq!(later.read("~/.m2/x").as_deref(), Some("1"));
}

#[test]
fn a_path_in_home_stays_in_home_if_the_workspace_is_below_home() {
    let machine = Machine::new();
    let below_home = |name: &str| {
        let workspace = machine.home().join("_work").join(name);
        fs::create_dir_all(&workspace).unwrap();
        let mut job = machine.job().var("GITHUB_WORKSPACE", &workspace);
        job.workspace = workspace;
        job
    };
    let one = below_home("one");
    one.file("target/a", "1");
    one.saved("~/_work/one/target", "k");
    fs::remove_dir_all(one.locate("target")).unwrap();
    assert_eq!(
        below_home("two")
            .found("~/_work/one/target", "k", "")
            .as_deref(),
        Some("k")
    );
    assert_eq!(one.read("target/a").as_deref(), Some("1"));
}

#[test]
fn an_absolute_path_is_restored_to_itself() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("$TMP/etc/foundationdb/fdb.cluster", "1");
    let path = job.locate("$TMP/etc/foundationdb").display().to_string();
    job.saved(&path, "k");
    fs::remove_dir_all(&path).unwrap();
    assert_eq!(machine.job().found(&path, "k", "").as_deref(), Some("k"));
    assert_eq!(
        job.read("$TMP/etc/foundationdb/fdb.cluster").as_deref(),
        Some("1")
    );
}

#[test]
fn a_store_inside_the_workspace_is_not_in_the_cache_of_the_workspace() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a", "1");
    let store = job.locate("cache").display().to_string();
    let step = |key: &str| {
        job.cache()
            .with("path", "./")
            .with("key", key)
            .with("cache-root", &store)
    };
    for key in ["k-1", "k-2"] {
        let mut step = step(key);
        step.main().passed();
        step.post()
            .passed()
            .logs("Cache Size: ~0 MB (1 B), 1 file,")
            .does_not_log("::warning");
    }
}

#[test]
fn a_store_inside_the_workspace_stays_when_the_workspace_is_mirrored() {
    let machine = Machine::new();
    let job = machine.job();
    job.file("a", "1");
    let store = job.locate("cache").display().to_string();
    let save = job
        .save()
        .with("path", "./")
        .with("key", "k")
        .with("cache-root", &store)
        .main();
    save.passed().logs("Cache saved");
    job.file("b", "2");
    let step = job
        .restore()
        .with("path", "./")
        .with("key", "k")
        .with("cache-root", &store);
    let done = step
        .with("mirror", "true")
        .main()
        .passed()
        .does_not_log("::warning");
    assert_eq!(done.hit(), "true");
    assert!(job.locate("cache/local-cache-v1/format.json").exists() && !job.locate("b").exists());
}

#[test]
fn modes_times_and_hard_links_are_restored() {
    let machine = Machine::new();
    let job = machine.job();
    let tool = job.file("bin/tool", "1");
    set_mode(&tool, 0o755);
    fs::hard_link(&tool, job.locate("bin/twin")).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_500_000_000, 123_456_789);
    fs::File::open(&tool)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    job.saved("bin", "k");
    let later = machine.job();
    later.found("bin", "k", "");
    let (tool, twin) = (later.locate("bin/tool"), later.locate("bin/twin"));
    assert_eq!(mode(&tool), 0o755);
    assert_eq!(tool.metadata().unwrap().modified().unwrap(), long_ago);
    assert_eq!(
        tool.metadata().unwrap().ino(),
        twin.metadata().unwrap().ino()
    );
}

fn read_only(path: &Path) {
    if path.is_dir() {
        fs::read_dir(path)
            .unwrap()
            .for_each(|entry| read_only(&entry.unwrap().path()));
    }
    let bits = path.metadata().unwrap().permissions().mode() & 0o555;
    set_mode(path, bits);
}

#[test]
fn a_read_only_tree_is_restored_over_itself() {
    let machine = Machine::unprivileged();
    let job = machine.job();
    job.file("~/go/pkg/mod/a@v1/x.go", "1");
    job.file("~/go/pkg/mod/a@v1/sub/y.go", "2");
    let root = job.locate("~/go/pkg/mod/a@v1");
    read_only(&root);
    job.saved("~/go/pkg/mod", "k");
    // The same files with other contents, and one that is missing, all of them read-only.
    set_mode(&root, 0o755);
    set_mode(&root.join("x.go"), 0o644);
    job.file("~/go/pkg/mod/a@v1/x.go", "other");
    set_mode(&root.join("sub"), 0o755);
    fs::remove_file(root.join("sub/y.go")).unwrap();
    read_only(&root);
    let later = machine.job();
    let done = later
        .restore()
        .with("path", "~/go/pkg/mod")
        .with("key", "k")
        .main()
        .passed();
    assert_eq!(done.does_not_log("::warning").hit(), "true");
    assert_eq!(later.read("~/go/pkg/mod/a@v1/x.go").as_deref(), Some("1"));
    assert_eq!(
        later.read("~/go/pkg/mod/a@v1/sub/y.go").as_deref(),
        Some("2")
    );
    assert_eq!(
        (
            mode(&root),
            mode(&root.join("sub")),
            mode(&root.join("x.go"))
        ),
        (0o555, 0o555, 0o444)
    );
}

#[test]
fn a_directory_that_only_root_may_write_is_a_warning_and_a_miss() {
    let machine = Machine::unprivileged();
    let job = machine.job();
    let path = job.locate("$TMP/of-root/etc").display().to_string();
    job.file("$TMP/of-root/etc/fdb.cluster", "1");
    job.saved(&path, "k");
    fs::remove_dir_all(&path).unwrap();
    set_mode(&job.locate("$TMP/of-root"), 0o555);
    let mut step = job.cache().with("path", &path).with("key", "k");
    let done = step
        .main()
        .passed()
        .logs("::warning title=local-cache::")
        .logs("of-root");
    assert_eq!(done.hit(), "");
    step.post().passed().does_not_log("::error");
    set_mode(&job.locate("$TMP/of-root"), 0o755);
}

#[test]
fn a_file_that_can_not_be_read_is_a_warning_and_the_rest_is_saved() {
    let machine = Machine::unprivileged();
    let job = machine.job();
    job.file("a/x", "1");
    set_mode(&job.file("a/of-root", "2"), 0o000);
    let mut step = job.cache().with("path", "a").with("key", "k");
    step.main();
    let done = step
        .post()
        .passed()
        .logs("::warning title=local-cache::")
        .logs("a/of-root is not cached");
    done.logs("Cache saved with key: k");
}
