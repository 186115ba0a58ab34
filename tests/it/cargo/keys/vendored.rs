//! Packages in a directory source.

use std::fs;

use super::support::Fixture;

const SOURCES: &str = "[source.crates-io]\nreplace-with = \"mirror\"\n\
    [source.mirror]\nregistry = \"https://example.org/index\"\nreplace-with = \"vendored\"\n\
    [source.vendored]\ndirectory = \"third-party\"\n";

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.write(".cargo/config.toml", SOURCES);
    for (name, text) in [
        ("Cargo.toml", "[package]\nname = \"serde\"\n"),
        (".cargo-checksum.json", "{\"files\":{}}"),
        ("src/lib.rs", "pub const V: u8 = 1;"),
    ] {
        fixture.write(&format!("third-party/serde/{name}"), text);
    }
    fixture
}

type Change = fn(&Fixture);

#[test]
fn another_checksum_file_or_package_changes_the_key_but_not_its_prefix() {
    let before = fixture().keys();
    let changes: [(&str, Change); 2] = [
        ("checksums", |it| {
            it.write("third-party/serde/.cargo-checksum.json", "{\"files\":{ }}");
        }),
        ("a new package", |it| {
            it.write(
                "third-party/other/Cargo.toml",
                "[package]\nname = \"other\"\n",
            );
        }),
    ];
    for (what, change) in changes {
        let fixture = fixture();
        assert_eq!(fixture.keys().target[0].key.text, before.target[0].key.text);
        change(&fixture);
        let after = fixture.keys();
        let (before_target, after_target) = (&before.target[0].key, &after.target[0].key);
        assert_ne!(after_target.text, before_target.text, "{what}");
        assert_eq!(
            after_target.restore_keys, before_target.restore_keys,
            "{what}"
        );
        assert_eq!(after.registry.text, before.registry.text, "{what}");
    }
}

#[test]
fn what_cargo_ignores_in_a_directory_source_does_not_count() {
    let fixture = fixture();
    let before = fixture.keys();
    fixture.write("third-party/.git/Cargo.toml", "hidden");
    fixture.write("third-party/left-over/src/lib.rs", "no Cargo.toml");
    fixture.write("third-party/README.md", "a file");
    assert_eq!(fixture.keys(), before);
}

#[test]
fn the_key_shows_the_directory_and_the_number_of_packages() {
    let fixture = fixture();
    let keys = fixture.keys();
    let mut components = keys.target[0].key.components.iter();
    let component = components
        .find(|component| component.name == "vendored packages")
        .unwrap();
    assert_eq!(component.note.as_deref(), Some("1 package"));
    assert!(keys.warnings.is_empty());
    // Without the directory, cargo fails, and the key has no part for it.
    fs::remove_dir_all(fixture.path("third-party")).unwrap();
    let mut keys = fixture.keys();
    let components = keys.target.remove(0).key.components;
    assert!(components.iter().all(|it| it.name != "vendored packages"));
    assert!(keys.warnings.is_empty());
}

#[test]
fn a_directory_that_cannot_be_read_is_reported() {
    let fixture = fixture();
    let path = fixture.path("third-party");
    fs::remove_dir_all(&path).unwrap();
    std::os::unix::fs::symlink("third-party", &path).unwrap();
    let warnings = fixture.keys().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].ends_with("; the cache keys are computed without it"));
}
