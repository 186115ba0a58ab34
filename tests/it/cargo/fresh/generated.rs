//! Build scripts that write into the sources.

use super::support::{BUILD, Files, Hit, Host};

const WATCHES_PROTO: &str = "println!(\"cargo:rerun-if-changed=proto/a.proto\");";

/// A package whose build script watches something and then does something.
fn package(watch: &str, script: &str, main: &str) -> Files {
    Files::default()
        .with(".gitignore", "/target\n/src/generated.rs\n/dist\n/include")
        .with_package(".", "app", "")
        .with("proto/a.proto", "A1")
        .with(
            "build.rs",
            format!("fn main() {{\n    {watch}\n    {script}\n}}"),
        )
        .with("src/main.rs", main)
}

/// Three jobs on new checkouts, and one with another input.
fn jobs(files: &Files, expected: &str) {
    let host = Host::new();
    let files = host.locked(files.clone());
    let changed = files.clone().with("proto/a.proto", "A2");
    for (number, files) in [&files, &files, &files, &changed].into_iter().enumerate() {
        let job = host.job(files);
        assert_eq!(job.restore() == Hit::Miss, number == 0, "job {number}");
        let built = job.builds_like_clean(BUILD);
        let expected = if number < 3 {
            expected.to_owned()
        } else {
            expected.replace("A1", "A2")
        };
        assert_eq!(built.output("app"), expected, "job {number}");
        job.save(&["--move"]);
    }
}

#[test]
fn a_module_that_git_ignores_is_generated_in_each_job() {
    let script = "let text = std::fs::read_to_string(\"proto/a.proto\").unwrap();\n    \
        std::fs::write(\"src/generated.rs\", format!(\"pub const G: &str = {:?};\", text.trim())).unwrap();";
    let main = "mod generated;\nfn main() { println!(\"{}\", generated::G); }";
    for watch in [
        WATCHES_PROTO,
        "",
        "println!(\"cargo:rerun-if-changed=proto\");",
    ] {
        jobs(&package(watch, script, main), "A1");
    }
}

#[test]
fn a_directory_that_a_program_reads_when_it_runs_is_generated_in_each_job() {
    let script = "std::fs::create_dir_all(\"dist\").unwrap();\n    \
        std::fs::copy(\"proto/a.proto\", \"dist/index.html\").unwrap();";
    let main = "fn main() { println!(\"{:?}\", std::fs::read_to_string(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/dist/index.html\"))); }";
    jobs(&package(WATCHES_PROTO, script, main), "Ok(\"A1\\n\")");
}

#[test]
fn a_header_that_nothing_of_cargo_reads_is_generated_in_each_job() {
    let script = "std::fs::create_dir_all(\"include\").unwrap();\n    std::fs::write(\"include/app.h\", \"int f();\").unwrap();";
    let watch = "println!(\"cargo:rerun-if-changed=src/main.rs\");";
    jobs(
        &package(watch, script, "fn main() { println!(\"runs\"); }"),
        "runs",
    );
}

const STAMP: &str = "let text = std::fs::read_to_string(\"proto/a.proto\").unwrap();\n    \
    std::fs::write(\"src/version.rs\", format!(\"pub const V: &str = {:?};\\n\", text.trim())).unwrap();";

fn with_placeholder(watch: &str, script: &str) -> Files {
    package(
        watch,
        script,
        "mod version;\nfn main() { println!(\"{}\", version::V); }",
    )
    .with("src/version.rs", "pub const V: &str = \"placeholder\";")
}

#[test]
fn a_committed_placeholder_is_overwritten_in_each_job() {
    for watch in [WATCHES_PROTO, ""] {
        jobs(&with_placeholder(watch, STAMP), "A1");
    }
}

#[test]
fn a_committed_file_that_is_overwritten_with_the_same_bytes_stays_as_it_is() {
    let same = "std::fs::write(\"src/version.rs\", \"pub const V: &str = \\\"placeholder\\\";\\n\").unwrap();";
    jobs(&with_placeholder(WATCHES_PROTO, same), "placeholder");
}

#[test]
fn a_build_script_that_makes_files_beside_its_package_runs_in_each_job() {
    let files = Files::default()
        .with(".gitignore", "target\n/client/dist")
        .with_members(&["server"])
        .with_package("server", "server", "")
        .with("proto/a.proto", "A1")
        .with(
            "server/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=../proto\");\n    \
             std::fs::create_dir_all(\"../client/dist\").unwrap();\n    \
             std::fs::copy(\"../proto/a.proto\", \"../client/dist/i.html\").unwrap();\n}",
        )
        .with(
            "server/src/bin/app.rs",
            "fn main() { println!(\"{}\", include_str!(\"../../../client/dist/i.html\").trim()); }",
        );
    jobs(&files, "A1");
}

#[test]
fn a_package_beside_one_that_generates_files_stays_fresh() {
    let host = Host::new();
    let script = "fn main() {\n    println!(\"cargo:rerun-if-changed=in\");\n    \
        std::fs::copy(\"in\", \"src/generated.rs\").unwrap();\n}";
    let files = Files::default()
        .with(".gitignore", "/target\ngenerated.rs")
        .with_members(&["app", "gen", "other"])
        .with_package("gen", "gen", "")
        .with("gen/build.rs", script)
        .with("gen/in", "pub const G: u32 = 1;")
        .with("gen/src/lib.rs", "pub mod generated;")
        .with_package("app", "app", "[dependencies]\ngen = { path = \"../gen\" }")
        .with(
            "app/src/main.rs",
            "fn main() { println!(\"{}\", gen::generated::G); }",
        )
        .with_package("other", "other", "")
        .with(
            "other/build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=in\"); }",
        )
        .with("other/in", "in")
        .with("other/src/main.rs", "fn main() {}");
    let files = host.locked(files);
    host.first_job(&files, BUILD);
    for _ in 0..2 {
        let built = host.next_job(&files, BUILD);
        assert!(!built.compiled.contains("other"), "{built:#?}");
        assert!(!built.compiled.contains("other script"), "{built:#?}");
    }
}

/// Copies the input into a module that git ignores, unless the module has these contents already.
const IF_CHANGED: &str = "let text = std::fs::read_to_string(\"proto/a.proto\").unwrap();\n    \
    let text = format!(\"pub const G: &str = {:?};\", text.trim());\n    \
    if std::fs::read_to_string(\"src/generated.rs\").ok().as_ref() != Some(&text) { \
    std::fs::write(\"src/generated.rs\", text).unwrap(); }";
const USES_MODULE: &str = "mod generated;\nfn main() { println!(\"{}\", generated::G); }";
const RELEASE: &[&str] = &["build", "--release"];

/// A package whose build script makes a module that git ignores. With `always`, each run writes it.
fn with_module(always: bool) -> Files {
    let script = if always {
        IF_CHANGED.replace("if ", "if true || ")
    } else {
        IF_CHANGED.to_owned()
    };
    package(WATCHES_PROTO, &script, USES_MODULE)
}

#[test]
fn the_script_runs_again_for_each_profile_although_one_wrote_the_module_last() {
    for always in [true, false] {
        for last in [BUILD, RELEASE] {
            let host = Host::new();
            let files = host.locked(with_module(always));
            let job = host.job(&files);
            job.build(BUILD);
            job.build(RELEASE);
            // The programs are compiled again after the module got new times.
            job.build(BUILD);
            job.save(&["--move"]);
            let job = host.job(&files);
            assert_ne!(job.restore(), Hit::Miss);
            assert_eq!(job.builds_like_clean(last).output("app"), "A1", "{always}");
        }
    }
}

/// A job whose target directory was lost after its build script had run, so that the script finds
/// what it wrote and writes nothing. The next checkout has only what is committed.
fn jobs_after_a_lost_target_directory(files: &Files) {
    for (freshness, by_git) in [("safe", true), ("cargo", true), ("cargo", false)] {
        let host = Host::new();
        let files = host.locked(files.clone());
        let repository = host.path("repository");
        host.commit(&repository, &files);
        let checkout = || {
            if by_git {
                host.clone_job(&repository)
            } else {
                host.job(&files)
            }
        };
        let job = checkout();
        job.build(BUILD);
        std::fs::remove_dir_all(job.path("target")).unwrap();
        job.build(BUILD);
        job.save(&["--move", "--freshness", freshness]);
        let job = checkout();
        let hit = host.restore(&job.directory, &["--freshness", freshness]);
        assert_ne!(hit, Hit::Miss);
        assert_eq!(
            job.builds_like_clean(BUILD).output("app"),
            "A1",
            "{freshness}, by git: {by_git}"
        );
    }
}

#[test]
fn a_module_that_a_build_script_found_is_generated_in_the_next_checkout() {
    jobs_after_a_lost_target_directory(&with_module(false));
}

#[test]
fn a_symlink_that_a_build_script_found_is_made_in_the_next_checkout() {
    let script = "if std::fs::symlink_metadata(\"src/generated.rs\").is_err() { \
        std::os::unix::fs::symlink(\"../proto/a.rs\", \"src/generated.rs\").unwrap(); }";
    let files = package(WATCHES_PROTO, script, USES_MODULE);
    jobs_after_a_lost_target_directory(&files.with("proto/a.rs", "pub const G: &str = \"A1\";"));
}

/// A package whose build script makes a module of another package, which has no build script.
fn with_module_of_another_package() -> Files {
    let script = IF_CHANGED
        .replace("proto/", "../proto/")
        .replace("src/generated.rs", "../app/src/generated.rs");
    Files::default()
        .with(".gitignore", "target\n/app/src/generated.rs")
        .with_members(&["app", "gen"])
        .with("proto/a.proto", "A1")
        .with_package("gen", "gen", "")
        .with(
            "gen/build.rs",
            format!(
                "fn main() {{\n    println!(\"cargo:rerun-if-changed=../proto\");\n    {script}\n}}"
            ),
        )
        .with("gen/src/lib.rs", "")
        .with_package("app", "app", "[dependencies]\ngen = { path = \"../gen\" }")
        .with("app/src/main.rs", USES_MODULE)
}

#[test]
fn a_module_of_another_package_is_generated_in_the_next_checkout() {
    jobs_after_a_lost_target_directory(&with_module_of_another_package());
}

#[test]
fn a_module_of_another_package_that_the_job_removed_is_generated_in_the_next_job() {
    let host = Host::new();
    let files = host.locked(with_module_of_another_package());
    let job = host.job(&files);
    job.build(BUILD);
    std::fs::remove_file(job.path("app/src/generated.rs")).unwrap();
    job.save(&["--move", "--freshness", "cargo"]);
    let job = host.job(&files);
    let hit = host.restore(&job.directory, &["--freshness", "cargo"]);
    assert_ne!(hit, Hit::Miss);
    assert_eq!(job.builds_like_clean(BUILD).output("app"), "A1");
}

#[test]
fn a_placeholder_that_a_build_script_found_overwritten_is_overwritten_in_the_next_checkout() {
    let script = STAMP.replace(
        "std::fs::write(",
        "if !std::fs::read_to_string(\"src/version.rs\").unwrap().contains(text.trim()) { std::fs::write(",
    ) + " }";
    jobs_after_a_lost_target_directory(&with_placeholder(WATCHES_PROTO, &script));
}

#[test]
fn a_module_that_the_job_removed_at_its_end_is_generated_in_the_next_job() {
    for builds_after in [false, true] {
        let host = Host::new();
        let files = host.locked(with_module(true));
        host.first_job(&files, BUILD);
        let job = host.job(&files);
        job.restore();
        job.build(BUILD);
        if builds_after {
            job.build(RELEASE);
        }
        std::fs::remove_file(job.path("src/generated.rs")).unwrap();
        job.save(&["--move"]);
        let job = host.job(&files);
        job.restore();
        assert_eq!(job.builds_like_clean(BUILD).output("app"), "A1");
    }
}

#[test]
fn a_changed_source_that_git_checked_out_does_not_run_the_script_again() {
    let host = Host::new();
    let files = host.locked(
        Files::default()
            .with(".gitignore", "/target")
            .with_package(".", "app", "")
            .with("in", "in")
            .with(
                "build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=in\"); }",
            )
            .with("src/main.rs", "fn main() { println!(\"1\"); }"),
    );
    let repository = host.path("repository");
    host.commit(&repository, &files);
    let job = host.clone_job(&repository);
    job.build(BUILD);
    job.save(&["--move", "--freshness", "cargo"]);
    host.commit(
        &repository,
        &files.with("src/main.rs", "fn main() { println!(\"2\"); }"),
    );
    let job = host.clone_job(&repository);
    host.restore(&job.directory, &["--freshness", "cargo"]);
    let why = host.local_cache(&job.directory, &["cargo", "why"]).stdout;
    assert!(
        why.contains("run-build-script-build-script-build: fresh"),
        "{why}"
    );
    assert!(why.contains("bin-app: src/main.rs changed"), "{why}");
    assert_eq!(job.builds_like_clean(BUILD).output("app"), "2");
}
