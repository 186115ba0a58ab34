//! Several projects with one store.

use super::support::files::long_ago;
use super::support::{BUILD, Files, Hit, Host};
use crate::cargo::registry::rustup_home;
use crate::support::machine::Machine;

fn named(name: &str) -> Files {
    Files::default().with_package(".", name, "").with(
        "src/main.rs",
        format!("fn main() {{ println!(\"{name}\"); }}"),
    )
}

#[test]
fn the_command_line_does_not_restore_the_target_directory_of_another_project() {
    let host = Host::new();
    let [a, b] = ["alpha", "beta"].map(|name| {
        let checkout = host.path(&format!("place/{name}"));
        host.job_at(&checkout, &host.locked(named(name)));
        host.job_in(&checkout)
    });
    assert!(b.build(BUILD).succeeded);
    a.restore();
    assert!(a.build(BUILD).succeeded);
    a.save(&[]);
    assert_eq!(b.restore(), Hit::Miss);
    assert_eq!(
        b.builds_like_clean(BUILD).compiled_only(&[]).output("beta"),
        "beta"
    );
    assert!(!b.path("target/debug/alpha").exists());
}

#[test]
fn repositories_of_one_owner_at_the_same_path_do_not_share_target_entries() {
    let machine = Machine::new();
    let mut host = Host::new();
    host.set("CARGO_HOME", machine.home().join(".cargo"));
    for (number, repository) in ["acme/one", "acme/two", "acme/one", "acme/two"]
        .into_iter()
        .enumerate()
    {
        let files = host.locked(named("app").with(
            "src/main.rs",
            format!("fn main() {{ println!(\"{repository}\"); }}"),
        ));
        let checkout = host.job(&files).directory;
        host.job_in(&checkout).set_times(long_ago());
        let mut job = machine
            .job()
            .repository(repository)
            .var("GITHUB_WORKSPACE", &checkout)
            .var("RUSTUP_HOME", rustup_home());
        job.workspace.clone_from(&checkout);
        let mut step = job.cache().with("scope", "owner").with("reuse", "move");
        let main = step.main().passed();
        let expected = if number < 2 { "" } else { "true" };
        assert_eq!(main.output("target-cache-hit"), expected, "{}", main.log);
        let built = host.builds_like_clean(&checkout, BUILD);
        assert_eq!(built.output("app"), repository);
        if number >= 2 {
            built.compiled_only(&[]);
        }
        step.post().passed();
    }
}

#[test]
fn the_next_job_of_a_workspace_without_a_lock_file_compiles_nothing() {
    let machine = Machine::new();
    let mut host = Host::new();
    host.set("CARGO_HOME", machine.home().join(".cargo"));
    let lib = "pub fn text() -> &'static str { \"of lib\" }";
    let files = |main: &str| {
        Files::default()
            .with_members(&["app", "lib"])
            .with_package("app", "app", "[dependencies]\nlib = { path = \"../lib\" }")
            .with("app/src/main.rs", main)
            .with_package("lib", "lib", "")
            .with("lib/src/lib.rs", lib)
    };
    let first = "fn main() { println!(\"{}\", lib::text()); }";
    let second = "fn main() { println!(\"{}!\", lib::text()); }";
    let jobs: [(&str, &[&str]); 3] = [(first, &["app", "lib"]), (first, &[]), (second, &["app"])];
    for (main, compiled) in jobs {
        let checkout = host.job(&files(main)).directory;
        assert!(!checkout.join("Cargo.lock").exists());
        let mut job = machine
            .job()
            .var("GITHUB_WORKSPACE", &checkout)
            .var("RUSTUP_HOME", rustup_home());
        job.workspace.clone_from(&checkout);
        let mut step = job.cache();
        step.main().passed();
        let built = host.builds_like_clean(&checkout, BUILD);
        built.compiled_only(compiled);
        step.post().passed();
    }
}

/// Two workspaces, of which one embeds the program of the other.
fn embedding(host: &Host, value: &str) -> Files {
    let main = "static BEE: &[u8] = include_bytes!(\"../../b/target/debug/bee\");\n\
        fn main() {\n    let at = BEE.windows(5).position(|it| it == b\"MARK-\").unwrap();\n    \
        println!(\"{}\", String::from_utf8_lossy(&BEE[at..at + 8]));\n}";
    let files = Files::default()
        .with_package("a", "app", "[workspace]")
        .with("a/src/main.rs", main)
        .with_package("b", "bee", "[workspace]")
        .with(
            "b/src/main.rs",
            format!("fn main() {{ println!(\"MARK-{value}\"); }}"),
        );
    host.locked_in(files, &["a", "b"])
}

#[test]
fn a_program_that_another_workspace_embeds_is_embedded_as_it_was_built_in_this_job() {
    let host = Host::new();
    let [a, b] = ["a", "b"].map(|name| host.checkout().join(name));
    // Entries of both workspaces that were never in one job: the second job saves only one.
    for (value, saves_both) in [("one", true), ("two", false), ("two", true), ("one", true)] {
        host.job(&embedding(&host, value));
        for directory in [&a, &b] {
            host.restore(directory, &[]);
        }
        assert!(host.cargo(&b, BUILD).succeeded);
        let expected = format!("MARK-{value}");
        assert_eq!(host.cargo(&a, BUILD).output("app"), expected);
        host.save(&b, &["--move"]);
        if saves_both {
            host.save(&a, &["--move"]);
        }
    }
}
