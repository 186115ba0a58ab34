//! The caches of a Cargo project over a remote.

use std::fs;
use std::path::Path;

use crate::support::Sandbox;
use crate::support::s3::S3Server;

const LOCK: &str = r#"version = 4

[[package]]
name = "app"
version = "0.1.0"
dependencies = ["dep"]

[[package]]
name = "dep"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "0000000000000000000000000000000000000000000000000000000000000000"
"#;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_new_machine_has_the_downloads_of_a_cargo_project() {
    let Some(server) = S3Server::take("cargo caches over a remote") else {
        return;
    };
    let machine = Sandbox::new();
    let job = machine.job("job");
    write(
        &job.join("Cargo.toml"),
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
    );
    write(&job.join("Cargo.lock"), LOCK);
    let archive = machine.path("home/.cargo/registry/cache/i/dep-1.0.0.crate");
    write(&archive, "archive");
    let saved = server
        .run(&machine, &job, &["cargo", "save", "--json"])
        .exited(0);
    let pushed = saved.json()["remote"]["pushed-entries"].as_u64().unwrap();
    assert!(pushed >= 1, "{saved:?}");

    // A machine with the same paths, and nothing else.
    fs::remove_dir_all(machine.cache()).unwrap();
    fs::remove_dir_all(machine.path("home/.cargo")).unwrap();
    let restored = server
        .run(&machine, &job, &["cargo", "restore", "--json"])
        .exited(0);
    assert_eq!(
        restored.json()["remote"]["pulled-entries"],
        pushed,
        "{restored:?}"
    );
    assert_eq!(fs::read_to_string(&archive).unwrap(), "archive");
    let again = server
        .run(&machine, &job, &["cargo", "save", "--json"])
        .exited(0);
    assert_eq!(
        again.json()["remote"]["present-entries"],
        pushed,
        "{again:?}"
    );
}
