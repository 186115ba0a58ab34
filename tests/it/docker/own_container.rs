//! Finding the id of this container in misleading arrangements.

use serde_json::json;

use super::runner::Runner;
use super::support::{self, docker};

#[test]
fn a_process_finds_its_own_container_whatever_namespaces_it_shares() {
    if !support::can_run("docker") {
        return;
    }
    let _lock = support::lock_shared();
    let runner = Runner::new();
    let other = support::unique("other");
    docker(&[
        "run",
        "--detach",
        "--name",
        &other,
        "--label",
        &runner.label,
        &runner.image.0,
        "idle",
    ]);
    let network = format!("--network=container:{other}");
    for options in [
        &[][..],
        &["--hostname=foo"],
        &["--network=host"],
        &["--network=none"],
        // The files that name a container name the other container now.
        &[&network],
        &["--cgroupns=private"],
        &[&network, "--cgroupns=private"],
    ] {
        let cid = std::env::temp_dir().join(support::unique("cid"));
        let mut stage = runner.stage(&json!(["Nothing"])).input("SITE", "host");
        for option in options {
            stage = stage.option(option);
        }
        let answer = stage.option(format!("--cidfile={}", cid.display())).run();
        let id = std::fs::read_to_string(&cid).unwrap();
        std::fs::remove_file(&cid).unwrap();
        assert_eq!(
            answer.json["own"],
            json!(id),
            "{options:?}: {}",
            answer.json
        );
        assert_eq!(answer.reply(), &json!([null]), "{options:?}");
    }
}
