//! What a path leads to counts, not the name alone.

use std::fs;
use std::os::unix::fs::symlink;

use super::support::{BUILD, Files, Hit, Host};

fn linked() -> Files {
    Files::default()
        .with_package(".", "app", "")
        .with("src/a.rs", "pub const V: &str = \"a\";")
        .with("src/b.rs", "pub const V: &str = \"b\";")
        .with("data/a/text", "text a")
        .with("data/b/text", "text b")
        .with("watched/a", "watched a")
        .with("watched/b", "watched b")
        .with_link("src/cur.rs", "a.rs")
        .with_link("data/cur", "a")
        .with_link("watched/cur", "a")
        .with(
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=watched/cur\");\n    \
             println!(\"cargo:rustc-env=W={}\", std::fs::read_to_string(\"watched/cur\").unwrap().trim());\n}",
        )
        .with(
            "src/main.rs",
            "mod cur;\nfn main() { println!(\"{} {} {}\", cur::V, include_str!(\"../data/cur/text\").trim(), env!(\"W\")); }",
        )
}

/// Jobs on clones of a repository, one commit after another.
fn jobs_of(commits: &[(Files, &str)]) {
    let host = Host::new();
    let origin = host.path("origin");
    for (files, expected) in commits {
        let files = host.locked(files.clone().with(".gitignore", "/target"));
        host.commit(&origin, &files);
        let job = host.clone_job(&origin);
        job.restore();
        assert_eq!(job.builds_like_clean(BUILD).output("app"), *expected);
        job.save(&["--move"]);
        let job = host.clone_job(&origin);
        assert_eq!(job.restore(), Hit::Exact);
        job.builds_like_clean(BUILD).compiled_only(&[]);
        job.save(&["--move"]);
    }
}

#[test]
fn a_link_to_another_source_is_compiled_again() {
    jobs_of(&[
        (linked(), "a text a watched a"),
        (
            linked().with_link("src/cur.rs", "b.rs"),
            "b text a watched a",
        ),
        (linked(), "a text a watched a"),
    ]);
}

#[test]
fn a_link_to_another_directory_is_compiled_again() {
    jobs_of(&[
        (linked(), "a text a watched a"),
        (linked().with_link("data/cur", "b"), "a text b watched a"),
    ]);
}

/// A program that reads a file of another package through a link of its own.
fn linked_to_another_package(file: &str) -> Files {
    Files::default()
        .with(".gitignore", "/target")
        .with_members(&["app", "lib"])
        .with_package("lib", "lib", "")
        .with("lib/src/lib.rs", "")
        .with("lib/part.rs", format!("pub const V: &str = \"{file}\";"))
        .with("lib/text", file)
        .with_package("app", "app", "")
        .with_link("app/src/cur.rs", "../../lib/part.rs")
        .with_link("app/text", "../lib/text")
        .with(
            "app/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=text\");\n    \
             println!(\"cargo:rustc-env=W={}\", std::fs::read_to_string(\"text\").unwrap().trim());\n}",
        )
        .with(
            "app/src/main.rs",
            "mod cur;\nfn main() { println!(\"{} {}\", cur::V, env!(\"W\")); }",
        )
}

#[test]
fn a_file_of_another_package_is_compiled_again_where_a_link_leads_to_it() {
    for (freshness, by_git) in [
        ("safe", true),
        ("safe", false),
        ("cargo", true),
        ("cargo", false),
    ] {
        let host = Host::new();
        let origin = host.path("origin");
        for text in ["a", "b"] {
            let files = host.locked(linked_to_another_package(text));
            host.commit(&origin, &files);
            let job = if by_git {
                host.clone_job(&origin)
            } else {
                host.job(&files)
            };
            let hit = host.restore(&job.directory, &["--freshness", freshness]);
            assert_eq!(hit == Hit::Miss, text == "a");
            let built = job.builds_like_clean(BUILD);
            assert_eq!(
                built.output("app"),
                format!("{text} {text}"),
                "{freshness}, by git: {by_git}"
            );
            job.save(&["--move", "--freshness", freshness]);
        }
    }
}

/// A build script that reads a file of another package through a link.
fn script_behind_a_link(link: &str, watch: &str, text: &str) -> Files {
    let script = format!(
        "fn main() {{\n    {watch}\n    \
         println!(\"cargo:rustc-env=W={{}}\", std::fs::read_to_string(\"{link}\").unwrap().trim());\n}}"
    );
    Files::default()
        .with(".gitignore", "/target")
        .with_members(&["app", "lib"])
        .with_package("lib", "lib", "")
        .with("lib/src/lib.rs", "")
        .with("lib/data/text", text)
        .with_package("app", "app", "")
        .with_link("app/text", "../lib/data/text")
        .with_link("app/watched/text", "../../lib/data/text")
        .with_link("app/data", "../lib/data")
        .with("app/build.rs", script)
        .with(
            "app/src/main.rs",
            "fn main() { println!(\"{}\", env!(\"W\")); }",
        )
}

#[test]
fn a_build_script_runs_again_when_what_a_link_leads_to_changed() {
    for (link, watch) in [
        ("text", ""),
        ("data/text", ""),
        (
            "watched/text",
            "println!(\"cargo:rerun-if-changed=watched\");",
        ),
        ("data/text", "println!(\"cargo:rerun-if-changed=data\");"),
    ] {
        for freshness in ["safe", "cargo"] {
            let host = Host::new();
            for text in ["a", "b"] {
                let job = host.job(&host.locked(script_behind_a_link(link, watch, text)));
                // A step that sets all times to one moment hides the change from cargo.
                job.set_times(
                    std::time::UNIX_EPOCH + std::time::Duration::from_hours(24 * 365 * 50),
                );
                let hit = host.restore(&job.directory, &["--freshness", freshness]);
                assert_eq!(hit == Hit::Miss, text == "a");
                let built = job.builds_like_clean(BUILD);
                assert_eq!(built.output("app"), text, "{link}, {watch}, {freshness}");
                job.save(&["--move", "--freshness", freshness]);
            }
        }
    }
}

#[test]
fn a_watched_link_to_another_file_runs_the_build_script() {
    jobs_of(&[
        (linked(), "a text a watched a"),
        (linked().with_link("watched/cur", "b"), "a text a watched b"),
    ]);
}

#[test]
fn a_file_in_place_of_a_link_and_a_link_in_place_of_a_file_are_compiled_again() {
    let plain = linked()
        .with("src/cur.rs", "pub const V: &str = \"own\";")
        .without("data/cur")
        .with("data/cur/text", "own text");
    jobs_of(&[
        (plain.clone(), "own own text watched a"),
        (linked(), "a text a watched a"),
        (plain, "own own text watched a"),
    ]);
}

fn simple(number: u32) -> Files {
    Files::default().with_package(".", "app", "").with(
        "src/main.rs",
        format!("fn main() {{ println!(\"{number}\"); }}"),
    )
}

#[test]
fn a_checkout_behind_a_link_is_fresh_and_follows_changes() {
    let host = Host::new();
    let real = host.path("place/disk/repo");
    for (number, compiled) in [(1, true), (1, false), (2, true)] {
        host.job_at(&real, &host.locked(simple(number)));
        let link = host.path("place/work");
        drop(fs::remove_file(&link));
        symlink("disk/repo", &link).unwrap();
        let job = host.job_in(&link);
        job.restore();
        let built = job.builds_like_clean(BUILD);
        built.compiled_only(if compiled { &["app"] } else { &[] });
        job.save(&["--move"]);
    }
}

#[test]
fn a_target_directory_behind_a_link_that_is_named_is_fresh_and_follows_changes() {
    let named = ["--workspace", ". -> ../../fast"];
    for option in [&["--move"][..], &[]] {
        let host = Host::new();
        let disk = host.path("place/fast");
        for (number, compiled) in [(1, true), (1, false), (2, true), (2, false)] {
            drop(fs::remove_dir_all(&disk));
            let job = host.job(&host.locked(simple(number)));
            symlink("../../fast", job.path("target")).unwrap();
            host.restore(&job.directory, &named);
            fs::create_dir_all(&disk).unwrap();
            let built = job.builds_like_clean(BUILD);
            built.compiled_only(if compiled { &["app"] } else { &[] });
            job.save(&[&named[..], option].concat());
        }
    }
}

#[test]
fn a_link_in_place_of_the_target_directory_is_an_error_that_harms_no_job() {
    let host = Host::new();
    host.first_job(&host.locked(simple(1)), BUILD);
    let job = host.job(&host.locked(simple(2)));
    for leads_somewhere in [false, true] {
        if leads_somewhere {
            fs::create_dir(host.path("place/fast")).unwrap();
        } else {
            symlink("../../fast", job.path("target")).unwrap();
        }
        let ran = host.local_cache(&job.directory, &["cargo", "restore"]);
        assert!(ran.failed(1).contains("is a symlink"));
    }
    let built = job.builds_like_clean(BUILD);
    assert_eq!(built.compiled_only(&["app"]).output("app"), "2");
}

#[test]
fn a_store_behind_a_link_restores_fresh_units() {
    let host = Host::new();
    let files = host.locked(simple(1));
    host.first_job(&files, BUILD);
    fs::rename(host.path("store"), host.path("disk-store")).unwrap();
    symlink("disk-store", host.path("store")).unwrap();
    for _ in 0..2 {
        host.next_job(&files, BUILD).compiled_only(&[]);
    }
}
