//! Absolute paths are compiled into programs, tests and build scripts: a target directory is
//! restored only where it was built.

use super::support::{BUILD, Files, Hit, Host, TESTS};

/// A workspace that has the path of its checkout in a program, a library, a test and a build
/// script.
fn baked(data: &str) -> Files {
    Files::default()
        .with_members(&["app", "gen"])
        .with_package("app", "app", "")
        .with("app/src/lib.rs", "pub const DIR: &str = env!(\"CARGO_MANIFEST_DIR\");")
        .with(
            "app/src/main.rs",
            "fn main() { println!(\"{} {}\", app::DIR, std::env::current_exe().unwrap().display()); }",
        )
        .with(
            "app/src/bin/inc.rs",
            "fn main() { print!(\"{}\", include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../shared/inc.txt\"))); }",
        )
        .with(
            "app/tests/it.rs",
            "#[test]\nfn paths() {\n    println!(\"{:?}\", std::fs::read_to_string(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/data.txt\")));\n    \
             println!(\"{} {}\", app::DIR, env!(\"CARGO_TARGET_TMPDIR\"));\n    \
             println!(\"{:?}\", std::process::Command::new(env!(\"CARGO_BIN_EXE_app\")).output());\n}",
        )
        .with("app/data.txt", data)
        .with("shared/inc.txt", data)
        .with("proto/p", data)
        .with_package("gen", "gen", "")
        .with("gen/src/main.rs", "fn main() { println!(\"{}\", env!(\"P\")); }")
        .with(
            "gen/build.rs",
            "fn main() {\n    let dir = std::path::PathBuf::from(env!(\"CARGO_MANIFEST_DIR\"));\n    \
             let proto = dir.parent().unwrap().join(\"proto/p\");\n    \
             println!(\"cargo:rerun-if-changed={}\", proto.display());\n    \
             println!(\"cargo:rustc-env=P={} {}\", dir.display(), std::fs::read_to_string(proto).unwrap());\n}",
        )
}

#[test]
fn two_runners_with_one_store_use_their_own_paths() {
    let host = Host::new();
    let files = [host.locked(baked("one")), host.locked(baked("two"))];
    let runners =
        ["runner-1", "runner-2"].map(|it| host.path(&format!("place/{it}/_work/repo/repo")));
    for (runner, files) in runners.iter().zip(&files) {
        let job = host.job_at(runner, files);
        assert_eq!(job.restore(), Hit::Miss, "{}", runner.display());
        for command in [BUILD, TESTS] {
            job.builds_like_clean(command);
        }
        job.save(&["--move"]);
    }
    for (runner, files) in runners.iter().zip(&files) {
        let job = host.job_at(runner, files);
        assert_eq!(job.restore(), Hit::Exact, "{}", runner.display());
        for command in [BUILD, TESTS] {
            job.builds_like_clean(command).compiled_only(&[]);
        }
        job.save(&["--move"]);
    }
}

/// A project with a dependency from another source than a path, whose build script installs a tool
/// and tells its users where it is.
fn with_tool(schema: &str) -> Files {
    let checksum = format!("{{\"files\":{{}},\"package\":\"{}\"}}", "0".repeat(64));
    Files::default()
        .with_package(".", "app", "[build-dependencies]\ntool = \"0.1\"")
        .with("src/main.rs", "fn main() { println!(\"{}\", env!(\"TOOL\")); }")
        .with("schema.proto", schema)
        .with(
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=schema.proto\");\n    \
             let tool = std::fs::read_to_string(tool::path()).unwrap_or_else(|e| e.to_string());\n    \
             println!(\"cargo:rustc-env=TOOL={tool} {} {}\", tool::path(), std::fs::read_to_string(\"schema.proto\").unwrap().trim());\n}",
        )
        .with(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"",
        )
        .with_package("vendor/tool", "tool", "")
        .with("vendor/tool/.cargo-checksum.json", checksum)
        .with(
            "vendor/tool/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
             let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
             std::fs::write(format!(\"{out}/tool\"), \"tool\").unwrap();\n    \
             println!(\"cargo:rustc-env=INSTALLED={out}\");\n}",
        )
        .with(
            "vendor/tool/src/lib.rs",
            "pub fn path() -> &'static str { concat!(env!(\"INSTALLED\"), \"/tool\") }",
        )
}

#[test]
fn a_tool_that_a_dependency_installed_is_found_on_each_runner() {
    let host = Host::new();
    for (runner, schema) in [("r1", "a"), ("r2", "b"), ("r1", "b"), ("r2", "c")] {
        let checkout = host.path(&format!("place/{runner}/repo"));
        let job = host.job_at(&checkout, &host.locked(with_tool(schema)));
        job.restore();
        let built = job.builds_like_clean(BUILD);
        assert!(built.output("app").starts_with("tool "), "{built:#?}");
        job.save(&["--move"]);
        std::fs::remove_dir_all(checkout).unwrap();
    }
}

#[test]
fn a_target_directory_at_another_path_is_not_restored_from_the_first_one() {
    let mut host = Host::new();
    let files = host.locked(with_tool("a"));
    host.first_job(&files, BUILD);
    host.set("CARGO_TARGET_DIR", host.path("place/elsewhere"));
    let job = host.job(&files);
    assert_eq!(job.restore(), Hit::Miss);
    assert!(
        job.builds_like_clean(BUILD)
            .output("app")
            .starts_with("tool ")
    );
    job.save(&["--move"]);
    // Each of both places has an entry now.
    host.next_job(&files, BUILD).compiled_only(&[]);
    host.env.remove("CARGO_TARGET_DIR");
    host.next_job(&files, BUILD).compiled_only(&[]);
}

#[test]
fn a_cargo_home_per_runner_has_target_entries_of_its_own() {
    let mut host = Host::new();
    let files = host.locked(with_tool("a"));
    let homes = [host.path("cargo-home"), host.path("cargo-home-2")];
    for (number, home) in homes.iter().chain(&homes).enumerate() {
        host.set("CARGO_HOME", home);
        let job = host.job(&files);
        let expected = if number < 2 { Hit::Miss } else { Hit::Exact };
        assert_eq!(job.restore(), expected, "job {number}");
        let built = job.builds_like_clean(BUILD);
        if number >= 2 {
            built.compiled_only(&[]);
        }
        job.save(&["--move"]);
    }
}

#[test]
fn a_member_that_is_called_registry_stays_fresh() {
    let host = Host::new();
    let files = Files::default()
        .with_members(&["crates/registry", "app"])
        .with_package(
            "crates/registry",
            "registry",
            "[[bin]]\nname = \"server\"\npath = \"src/server/main.rs\"",
        )
        .with("crates/registry/src/lib.rs", "pub fn f() {}")
        .with(
            "crates/registry/src/bin/publish.rs",
            "fn main() { registry::f() }",
        )
        .with(
            "crates/registry/src/server/main.rs",
            "fn main() { registry::f() }",
        )
        .with_package("app", "app", "")
        .with("app/src/main.rs", "fn main() {}");
    let files = host.locked(files);
    host.first_job(&files, BUILD);
    for _ in 0..2 {
        host.next_job(&files, BUILD).compiled_only(&[]);
    }
}

#[test]
fn a_path_dependency_below_a_directory_registry_src_stays_fresh_and_follows_changes() {
    let host = Host::new();
    let files =
        |text: &str| {
            Files::default()
            .with_package(
                "ws",
                "app",
                "[workspace]\n[dependencies]\nhelper = { path = \"../registry/src/mine/helper\" }\n\
                 other = { path = \"../git/checkouts/mine/other\" }",
            )
            .with("ws/src/main.rs", "fn main() { println!(\"{} {}\", helper::V, other::V); }")
            .with_package("registry/src/mine/helper", "helper", "")
            .with("registry/src/mine/helper/src/lib.rs", format!("pub const V: &str = \"{text}\";"))
            .with_package("git/checkouts/mine/other", "other", "")
            .with("git/checkouts/mine/other/src/lib.rs", format!("pub const V: &str = \"{text}\";"))
        };
    let workspace = host.path("place/repo/repo/ws");
    for (number, text) in ["a", "a", "b"].iter().enumerate() {
        host.job(&host.locked_in(files(text), &["ws"]));
        let job = host.job_in(&workspace);
        job.restore();
        let built = job.builds_like_clean(BUILD);
        if number == 1 {
            built.compiled_only(&[]);
        }
        job.save(&["--move"]);
    }
}
