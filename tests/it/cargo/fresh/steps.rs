//! Several cache steps, builds before them, and sources that come after them.

use std::fs;

use super::support::files::{long_ago, set_times, times};
use super::support::{BUILD, Files, Hit, Host};

fn sharing(value: &str) -> Files {
    let mut files = Files::default().with_package("shared", "shared", "").with(
        "shared/src/lib.rs",
        format!("pub const V: &str = \"{value}\";"),
    );
    for (directory, name) in [("a", "app"), ("b", "bee")] {
        files = files
            .with_package(
                directory,
                name,
                "[dependencies]\nshared = { path = \"../shared\" }\n[workspace]",
            )
            .with(
                &format!("{directory}/src/main.rs"),
                "fn main() { println!(\"{}\", shared::V); }",
            );
    }
    files
}

#[test]
fn a_source_that_was_patched_between_a_step_that_missed_and_one_that_hit_is_compiled_again() {
    let mut host = Host::new();
    host.set("GITHUB_JOB", "j");
    host.set("GITHUB_REPOSITORY", "o/r");
    let files = host.locked_in(sharing("right"), &["a", "b"]);
    let checkout = host.checkout();
    let [a, b] = ["a", "b"].map(|name| checkout.join(name));
    host.set("GITHUB_RUN_ID", "1");
    host.job(&files);
    host.restore(&b, &[]);
    assert!(host.cargo(&b, BUILD).succeeded);
    host.save(&b, &["--move"]);

    host.set("GITHUB_RUN_ID", "2");
    let job = host.job(&files);
    assert_eq!(host.restore(&a, &[]), Hit::Miss);
    job.write("shared/src/lib.rs", "pub const V: &str = \"patched\";");
    assert_eq!(host.cargo(&a, BUILD).output("app"), "patched");
    job.write("shared/src/lib.rs", "pub const V: &str = \"right\";");
    assert_eq!(host.restore(&b, &[]), Hit::Exact);
    assert_eq!(host.builds_like_clean(&a, BUILD).output("app"), "right");
    host.builds_like_clean(&b, BUILD);
    host.save(&b, &["--move"]);
    host.save(&a, &["--move"]);

    host.set("GITHUB_RUN_ID", "3");
    host.job(&files);
    for (directory, name) in [(&a, "app"), (&b, "bee")] {
        assert_eq!(host.restore(directory, &[]), Hit::Exact);
        let built = host.builds_like_clean(directory, BUILD);
        assert_eq!(built.output(name), "right");
    }
}

fn simple(text: &str) -> Files {
    Files::default()
        .with_package(".", "app", "[features]\nx = []")
        .with(
            "src/main.rs",
            format!("fn main() {{ println!(\"{text}\"); }}"),
        )
}

#[test]
fn a_unit_whose_dependency_was_built_after_it_is_compiled_again() {
    const WITH_FEATURE: &[&str] = &["build", "--features", "x"];
    let files = |value: &str| {
        Files::default()
            .with_package(
                ".",
                "app",
                "[features]\nx = []\n[dependencies]\nshared = { path = \"shared\" }",
            )
            .with("src/main.rs", "fn main() { println!(\"{}\", shared::V); }")
            .with_package("shared", "shared", "")
            .with(
                "shared/src/lib.rs",
                format!("pub const V: &str = \"{value}\";"),
            )
    };
    let host = Host::new();
    let old = host.locked(files("old"));
    let job = host.job(&old);
    job.restore();
    assert_eq!(job.build(WITH_FEATURE).output("app"), "old");
    // Only the dependency and another form of the program are built from the new source.
    job.write("shared/src/lib.rs", "pub const V: &str = \"new\";");
    assert_eq!(job.build(BUILD).output("app"), "new");
    job.save(&[]);

    let new = host.locked(files("new"));
    let job = host.job(&new);
    assert_eq!(job.restore(), Hit::Exact);
    job.builds_like_clean(BUILD).compiled_only(&[]);
    let built = job.builds_like_clean(WITH_FEATURE);
    assert_eq!(built.output("app"), "new");
    built.compiled_only(&["app"]);
}

#[test]
fn outputs_of_another_branch_that_a_restore_keeps_are_not_used() {
    const WITH_FEATURE: &[&str] = &["build", "--features", "x"];
    for has_tag in [true, false] {
        let host = Host::new();
        let job = host.job(&host.locked(simple("main")));
        job.restore();
        assert!(job.build(BUILD).succeeded);
        job.save(&[]);
        // A job of another branch in the same checkout was cancelled, and main is checked out again.
        job.write("src/main.rs", "fn main() { println!(\"other branch\"); }");
        assert!(job.build(WITH_FEATURE).succeeded);
        job.write("src/main.rs", "fn main() { println!(\"main\"); }");
        if !has_tag {
            fs::remove_file(job.path("target/CACHEDIR.TAG")).unwrap();
        }
        let options: &[&str] = if has_tag { &["--no-mirror"] } else { &[] };
        host.restore(&job.directory, options);
        assert_eq!(job.builds_like_clean(WITH_FEATURE).output("app"), "main");
    }
}

#[test]
fn a_source_that_was_patched_built_and_reverted_before_the_step_is_not_taken_for_the_patched_one() {
    let host = Host::new();
    let files = host.locked(simple("main"));
    host.first_job(&files, BUILD);
    for option in [&["--move"][..], &[]] {
        let job = host.job(&files);
        job.write("src/main.rs", "fn main() { println!(\"patched\"); }");
        assert_eq!(job.build(BUILD).output("app"), "patched");
        job.write("src/main.rs", "fn main() { println!(\"main\"); }");
        assert_ne!(job.restore(), Hit::Miss);
        assert_eq!(job.builds_like_clean(BUILD).output("app"), "main");
        job.save(option);
    }
    host.next_job(&files, BUILD).compiled_only(&[]);
}

#[test]
fn a_patch_that_is_reverted_after_its_build_is_not_in_the_next_job() {
    let host = Host::new();
    let files = host.locked(simple("main"));
    host.first_job(&files, BUILD);
    for is_old in [false, true] {
        let job = host.job(&files);
        job.restore();
        job.write("src/main.rs", "fn main() { println!(\"patched\"); }");
        assert_eq!(job.builds_like_clean(BUILD).output("app"), "patched");
        job.write("src/main.rs", "fn main() { println!(\"main\"); }");
        if is_old {
            job.set_times(long_ago());
        }
        job.save(&["--move"]);
        let built = host.next_job(&files, BUILD);
        assert_eq!(built.compiled_only(&["app"]).output("app"), "main");
    }
}

#[test]
fn a_checkout_after_the_step_is_compiled_as_it_is() {
    let host = Host::new();
    host.first_job(&host.locked(simple("one")), BUILD);
    let job = host.job(&host.locked(simple("one")));
    assert_eq!(job.restore(), Hit::Exact);
    let other = host.locked(simple("two"));
    other.write(&job.directory);
    assert_eq!(job.builds_like_clean(BUILD).output("app"), "two");
    job.save(&["--move"]);
    host.next_job(&other, BUILD).compiled_only(&[]);
}

#[test]
fn sources_unpacked_after_the_step_are_compiled_though_their_times_are_old() {
    let host = Host::new();
    let files = host.locked(Files::default().with_package(".", "app", "").with(
        "src/main.rs",
        "fn main() { print!(\"{}\", include_str!(\"../dist/app.js\")); }",
    ));
    let path_cache = |command: &str, key: &str| {
        let arguments = [command, "--key", &format!("dist-{key}"), "dist"];
        let ran = host.local_cache(&host.checkout(), &arguments);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
    };
    for commit in ["B", "A"] {
        let job = host.job(&files);
        job.restore();
        job.write("dist/app.js", commit);
        assert_eq!(job.builds_like_clean(BUILD).output("app"), commit);
        path_cache("save", commit);
        job.save(&["--move"]);
    }
    let job = host.job(&files);
    assert_eq!(job.restore(), Hit::Exact);
    path_cache("restore", "B");
    assert_eq!(job.builds_like_clean(BUILD).output("app"), "B");
    job.save(&["--move"]);
}

#[test]
fn a_source_replaced_after_the_step_by_one_with_old_times_is_reported_and_not_vouched_for() {
    let host = Host::new();
    let one = host.locked(simple("one"));
    host.first_job(&one, BUILD);
    let job = host.job(&one);
    assert_eq!(job.restore(), Hit::Exact);
    // No program can notice this before the build: cargo sees a source that is older than its output.
    let two = host.locked(simple("two"));
    two.write(&job.directory);
    set_times(&job.directory, long_ago());
    job.build(BUILD);
    let arguments = ["cargo", "save", "--move", "--fail-on-stale"];
    let ran = host.local_cache(&job.directory, &arguments);
    // 2 is for options that do not exist.
    assert!(!matches!(ran.code, Some(0 | 2)), "{ran:#?}");
    let said = ran.stdout + &ran.stderr;
    assert!(
        said.contains("app") && said.contains("src/main.rs"),
        "{said}"
    );
    for files in [&two, &one] {
        host.next_job(files, BUILD);
    }
}

/// A persistent checkout, as with `clean: false`: only files that differ are written.
#[test]
fn other_build_tools_and_other_target_directories_see_each_change_in_a_persistent_checkout() {
    let mut host = Host::new();
    let project = |text: &str| {
        host.locked(
            simple(text)
                .with("c/x.c", text)
                .with("c/y.c", "always the same"),
        )
    };
    let versions = [
        ("y", project("one")),
        ("x", project("two")),
        ("y", project("one")),
    ];
    let checkout = host.checkout();
    let mut before = Files::default();
    for (branch, files) in versions {
        let text = match &files.0["c/x.c"] {
            super::support::files::Node::Text(text) => text.trim().to_owned(),
            super::support::files::Node::Link(_) => unreachable!("a file"),
        };
        for (name, node) in &files.0 {
            if before.0.get(name) != Some(node) {
                super::support::files::write_node(&checkout.join(name), node);
            }
        }
        before = files;
        let sources = |host: &Host| {
            let mut found = times(&host.checkout());
            found.retain(|name, _| !name.contains("/target") && !name.ends_with("/repo"));
            found
        };
        let written = sources(&host);
        host.set("RUSTFLAGS", format!("--cfg {branch}"));
        host.restore(&checkout, &[]);
        assert_eq!(
            sources(&host),
            written,
            "{branch}: times of sources changed"
        );
        // The rule of make: an output that is older than its source is made again.
        let (source, output) = (checkout.join("c/x.c"), host.path("place/make-output"));
        let time = |path: &std::path::Path| fs::metadata(path).unwrap().modified().unwrap();
        if !output.exists() || time(&output) < time(&source) {
            fs::copy(&source, &output).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&output).unwrap().trim(),
            text,
            "{branch}"
        );
        let built = host.builds_like_clean(&checkout, BUILD);
        assert_eq!(built.output("app"), text, "{branch}");
        host.env.remove("RUSTFLAGS");
        host.set("CARGO_TARGET_DIR", host.path("place/second"));
        let built = host.builds_like_clean(&checkout, BUILD);
        assert_eq!(
            built.output("app"),
            text,
            "{branch}: second target directory"
        );
        host.env.remove("CARGO_TARGET_DIR");
        host.set("RUSTFLAGS", format!("--cfg {branch}"));
        host.save(&checkout, &["--move"]);
        host.env.remove("RUSTFLAGS");
    }
}

#[test]
fn a_large_file_that_git_ignores_and_nothing_reads_is_not_read() {
    let host = Host::new();
    let files = host.locked(simple("main").with(".gitignore", "/target\n/data"));
    let lay = || {
        let job = host.job(&files);
        host.git(&job.directory, &["init", "-q"]);
        host.git(&job.directory, &["add", "-A"]);
        fs::create_dir(job.path("data")).unwrap();
        let file = fs::File::create(job.path("data/large")).unwrap();
        file.set_len(40 << 30).unwrap();
        job
    };
    let start = std::time::Instant::now();
    let job = lay();
    job.restore();
    job.build(BUILD);
    job.save(&["--move"]);
    let job = lay();
    assert_eq!(job.restore(), Hit::Exact);
    job.build(BUILD).compiled_only(&[]);
    job.save(&["--move"]);
    // Reading the holes takes more than this, several times.
    assert!(start.elapsed().as_secs() < 25, "{:?}", start.elapsed());
}
