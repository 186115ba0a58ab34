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
