//! Inputs that cargo does not know.

use super::support::{BUILD, Files, Hit, Host};

/// A program that embeds a directory by a macro that tells nothing to cargo.
fn embedding() -> Files {
    Files::default()
        .with_members(&["app", "mac", "other"])
        .with_package("mac", "mac", "[lib]\nproc-macro = true")
        .with(
            "mac/src/lib.rs",
            "use proc_macro::TokenStream;\n#[proc_macro]\npub fn migrate(_: TokenStream) -> TokenStream {\n    \
             let dir = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap() + \"/migrations\";\n    \
             let mut all: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();\n    all.sort();\n    \
             let all: String = all.iter().map(|p| format!(\"({:?}, {:?}),\", p.file_name().unwrap(), std::fs::read_to_string(p).unwrap())).collect();\n    \
             format!(\"[{all}]\").parse().unwrap()\n}",
        )
        .with_package("app", "app", "[dependencies]\nmac = { path = \"../mac\" }")
        .with(
            "app/src/main.rs",
            "fn main() { let all: &[(&str, &str)] = &mac::migrate!(); println!(\"{all:?}\"); }",
        )
        .with("app/migrations/1.sql", "create")
        .with_package("other", "other", "")
        .with("other/src/main.rs", "fn main() {}")
}

#[test]
fn a_directory_that_a_macro_embeds_is_embedded_again_when_it_changed() {
    let host = Host::new();
    let added = embedding().with("app/migrations/2.sql", "alter");
    let renamed = embedding()
        .with("app/migrations/3.sql", "create")
        .without("app/migrations/1.sql");
    host.first_job(&host.locked(embedding()), BUILD);
    for files in [
        added.clone(),
        added.clone().with("app/migrations/2.sql", "alter table"),
        embedding(),
        renamed,
    ] {
        let files = host.locked(files);
        host.next_job(&files, BUILD).compiled_only(&["app"]);
        host.next_job(&files, BUILD).compiled_only(&[]);
    }
}

#[test]
fn a_directory_of_another_package_that_a_macro_embeds_through_a_link_is_embedded_again() {
    let linked = embedding()
        .without("app/migrations/1.sql")
        .with_link("app/migrations", "../other/migrations")
        .with("other/migrations/1.sql", "create");
    let host = Host::new();
    host.first_job(&host.locked(linked.clone()), BUILD);
    for files in [
        linked.clone().with("other/migrations/2.sql", "alter"),
        linked
            .clone()
            .with("other/migrations/1.sql", "create table"),
        linked,
    ] {
        let files = host.locked(files);
        host.next_job(&files, BUILD)
            .compiled_only(&["app", "other"]);
        host.next_job(&files, BUILD).compiled_only(&[]);
    }
}

#[test]
fn documents_and_formatting_rules_compile_nothing() {
    let host = Host::new();
    host.first_job(&host.locked(embedding()), BUILD);
    let files = embedding()
        .with("README.md", "read me")
        .with("app/CHANGELOG.md", "changes")
        .with("LICENSE-MIT", "license")
        .with("rustfmt.toml", "max_width = 99")
        .with(".github/workflows/ci.yml", "on: push");
    host.next_job(&host.locked(files), BUILD).compiled_only(&[]);
}

#[test]
fn a_file_outside_of_packages_that_changed_compiles_all_of_them() {
    let reading = |text: &str| {
        embedding().with("proto/schema", text).with(
            "other/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
             println!(\"cargo:warning={}\", std::fs::read_to_string(\"../proto/schema\").unwrap().trim());\n}",
        )
    };
    let host = Host::new();
    host.first_job(&host.locked(reading("one")), BUILD);
    for text in ["two", "three", "one"] {
        let built = host.next_job(&host.locked(reading(text)), BUILD);
        assert!(
            built.warnings.iter().any(|line| line.ends_with(text)),
            "{built:#?}"
        );
    }
    host.next_job(&host.locked(reading("one")), BUILD)
        .compiled_only(&[]);
}

#[test]
fn a_new_configuration_of_clippy_is_applied() {
    const CLIPPY: &[&str] = &["clippy"];
    let host = Host::new();
    let files = host.locked(
        Files::default()
            .with_package(".", "app", "[lints.clippy]\ndisallowed_names = \"deny\"")
            .with("src/main.rs", "fn main() { let bar = 1; let _ = bar; }"),
    );
    if !host.job(&files).build(CLIPPY).succeeded {
        crate::support::tools::skip("cargo-clippy", "lints with a new configuration");
        return;
    }
    host.first_job(&files, CLIPPY);
    host.next_job(&files, CLIPPY).compiled_only(&[]);
    let configured = files
        .clone()
        .with("clippy.toml", "disallowed-names = [\"bar\"]");
    assert!(!host.next_job(&configured, CLIPPY).succeeded);
    assert!(host.next_job(&files, CLIPPY).succeeded);
}

/// A package whose build script reads a file outside of the checkout and tells nothing.
fn reading_outside() -> Files {
    Files::default()
        .with_package(".", "app", "")
        .with("src/main.rs", "fn main() { println!(\"{}\", env!(\"N\")); }")
        .with(
            "build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
             println!(\"cargo:rustc-env=N={}\", std::fs::read_to_string(\"../../spec/n.txt\").unwrap().trim());\n}",
        )
}

#[test]
fn a_file_that_the_input_sources_names_is_followed_through_links() {
    use crate::support::machine::Machine;
    let machine = Machine::new();
    let mut host = Host::new();
    host.set("CARGO_HOME", machine.home().join(".cargo"));
    let files = host.locked(reading_outside());
    for (number, (text, value)) in [("real", "1"), ("real", "2"), ("other", "2"), ("other", "3")]
        .into_iter()
        .enumerate()
    {
        Files::default()
            .with(&format!("place/{text}/n.txt"), value)
            .write(&host.path(""));
        let link = host.path("place/spec");
        drop(std::fs::remove_file(&link));
        std::os::unix::fs::symlink(text, &link).unwrap();
        let checkout = host.job(&files).directory;
        let mut job = machine.job().var("GITHUB_WORKSPACE", &checkout);
        job.workspace.clone_from(&checkout);
        let sources = link.display().to_string();
        let mut step = job.cache().with("sources", &sources).with("reuse", "move");
        let main = step.main().passed();
        assert_eq!(
            main.output("target-cache-hit").is_empty(),
            number == 0,
            "{}",
            main.log
        );
        let built = host.builds_like_clean(&checkout, BUILD);
        assert_eq!(built.output("app"), value, "{}", main.log);
        step.post().passed();
    }
}

#[test]
fn a_line_of_sources_that_matches_nothing_is_a_warning() {
    use crate::support::machine::Machine;
    let machine = Machine::new();
    let job = machine.job();
    host_files().write(&job.workspace);
    let main = job
        .cache()
        .with("sources", "protos/**/*.proto")
        .main()
        .passed();
    main.logs("::warning").logs("protos/**/*.proto");
}

fn host_files() -> Files {
    Files::default()
        .with_package(".", "app", "")
        .with("src/main.rs", "fn main() {}")
}

#[test]
fn a_lock_file_that_a_step_writes_again_compiles_nothing() {
    let host = Host::new();
    let files = host.locked(embedding());
    host.first_job(&files, BUILD);
    let job = host.job(&files);
    assert_eq!(job.restore(), Hit::Exact);
    let lock = std::fs::read_to_string(job.path("Cargo.lock")).unwrap();
    job.write("Cargo.lock", &lock);
    job.builds_like_clean(BUILD).compiled_only(&[]);
}
