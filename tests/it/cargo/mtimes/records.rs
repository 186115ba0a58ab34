//! The records of the sources of an entry: damaged, missing and removed ones.

use std::fs;

use super::failures::with_number;
use super::support::{Runner, Times, Warnings, app_output, built, check_out};

#[test]
fn a_damaged_record_is_a_warning_and_only_times_are_lost() {
    let runner = Runner::new();
    let (files, step) = built(&runner);
    let entries = runner.path("cache/local-cache-v1/entries");
    let entry = fs::read_dir(entries)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let entry: serde_json::Value = serde_json::from_slice(&fs::read(entry).unwrap()).unwrap();
    let record = runner
        .path("cache/local-cache-v1/manifests")
        .join(entry["sources"].as_str().unwrap());
    let mut bytes = fs::read(&record).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&record, bytes).unwrap();

    let restored = |what: &str| {
        check_out(&with_number(&files, 2), &step.checkout, Times::Old);
        let warnings = Warnings::default();
        let given = runner.restore_with_warnings(&step, "key", &warnings);
        let warnings = warnings.0.into_inner().unwrap();
        assert!(
            given.given == 0 && warnings.len() == 1 && warnings[0].contains(what),
            "{warnings:?}"
        );
        runner
            .build(&step.checkout)
            .compiled_only(&["lib", "repo"], what);
        assert_eq!(app_output(&step.checkout), "2\n");
    };
    restored("is damaged");
    let verify = |repair| {
        local_cache::ops::verify::verify(&runner.store(), repair, &Warnings::default())
            .unwrap()
            .0
    };
    let found = verify(true);
    assert_eq!(
        (found.intact, found.damaged.len(), found.damaged_files.len()),
        (1, 0, 1)
    );
    let found = verify(false);
    assert_eq!((found.intact, found.damaged_files.len()), (1, 0));
    assert!(!record.exists());
    restored("missing");
}

#[test]
fn a_record_lives_as_long_as_its_entry() {
    let runner = Runner::new();
    let (_, step) = built(&runner);
    let manifests = || {
        fs::read_dir(runner.path("cache/local-cache-v1/manifests"))
            .unwrap()
            .count()
    };
    assert_eq!(manifests(), 2);
    let prune = |keep| {
        let keep = [(local_cache::store::CacheKind::Target, keep)].into();
        let policy = local_cache::store::retention::RetentionPolicy {
            keep,
            as_one_family: true,
            ..Default::default()
        };
        local_cache::ops::prune::prune(&runner.store(), &policy, false, &Warnings::default())
            .unwrap();
    };
    prune(1);
    assert_eq!(manifests(), 2);
    fs::write(step.checkout.join("new.txt"), "new").unwrap();
    runner.save(&step, "later");
    assert_eq!(manifests(), 4);
    prune(1);
    assert_eq!(manifests(), 2);
}
