//! `local-cache cargo why`: the decisions of the last restore.

use super::support::{BUILD, Files, Host};

fn project(number: u32) -> Files {
    Files::default()
        .with_members(&["app", "lib"])
        .with_package("app", "app", "[dependencies]\nlib = { path = \"../lib\" }")
        .with("app/src/main.rs", "fn main() { println!(\"{}\", lib::N); }")
        .with_package("lib", "lib", "")
        .with("lib/src/lib.rs", format!("pub const N: u32 = {number};"))
}

#[test]
fn the_input_that_decided_is_named_for_each_package() {
    let host = Host::new();
    let first = host.locked(project(1));
    let why = |arguments: &[&str]| {
        let arguments = [&["cargo", "why"], arguments].concat();
        host.local_cache(&host.checkout(), &arguments)
    };
    let job = host.job(&first);
    let error = why(&[]).failed(1);
    assert!(error.contains("no restore into"), "{error}");
    job.restore();
    assert!(job.build(BUILD).succeeded);
    job.save(&[]);

    host.job(&first).restore();
    assert_eq!(why(&[]).succeeded().stdout, "app: fresh\nlib: fresh\n");
    host.job(&host.locked(project(2))).restore();
    let text = why(&[]).succeeded().stdout;
    assert_eq!(
        text,
        "app: fresh\nlib: compiled again\n  lib-lib: lib/src/lib.rs changed\n"
    );
    assert_eq!(why(&["app"]).succeeded().stdout, "app: fresh\n");
    let error = why(&["other"]).failed(1);
    assert!(error.contains("the packages are app, lib"), "{error}");
    let units: serde_json::Value =
        serde_json::from_str(&why(&["--json"]).succeeded().stdout).unwrap();
    assert_eq!(units[1]["reason"], "lib/src/lib.rs changed");
}
