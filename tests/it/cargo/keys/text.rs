//! The text of a key: its components, their order, and the keys it starts with.

use local_cache::cargo::key::CargoKeys;
use local_cache::cargo::key::component::KeySection;

use super::rules::Change::Set;
use super::support::Fixture;

/// A key without its digests.
fn shape(text: &str) -> String {
    let is_digest =
        |word: &&str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-')
        .map(|word| if is_digest(&word) { "#" } else { word })
        .collect::<Vec<_>>()
        .join("-")
}

#[test]
fn inputs_are_in_the_key() {
    let shapes = |change: fn(&mut Fixture)| {
        let mut fixture = Fixture::new();
        change(&mut fixture);
        let keys = fixture.keys();
        [
            keys.registry.text,
            keys.git.text,
            keys.target[0].key.text.clone(),
        ]
        .map(|text| shape(&text))
    };
    let registry = "v0-rust-registry-linux-x86_64-#";
    let git = "v0-rust-git-linux-x86_64-#";
    let target = |names: &str| format!("v0-rust-target-{names}linux-x86_64-#-#");
    assert_eq!(shapes(|_| {}), [registry, git, &target("build-")]);
    assert_eq!(
        shapes(|it| it.asked.key_inputs.key = "k".to_owned()),
        [registry, git, &target("k-build-")]
    );
    assert_eq!(
        shapes(|it| it.asked.key_inputs.add_job_id = false),
        [registry, git, &target("")]
    );
    assert_eq!(
        shapes(|it| it.asked.job = String::new()),
        [registry, git, &target("")]
    );
    let shared = shapes(|it| {
        it.asked.key_inputs.key = "k".to_owned();
        it.asked.key_inputs.shared_key = "s".to_owned();
    });
    assert_eq!(shared, [registry, git, &target("s-")]);
    let prefixed = shapes(|it| it.asked.key_inputs.prefix_key = "v1".to_owned());
    assert_eq!(prefixed[2], "v1-target-build-linux-x86_64-#-#");
    assert_eq!(prefixed[0], "v1-registry-linux-x86_64-#");
}

#[test]
fn restore_keys_of_a_target_have_its_toolchain_settings_and_job() {
    let fixture = Fixture::new();
    let keys = fixture.keys();
    let CargoKeys {
        registry,
        git,
        target,
        ..
    } = &keys;
    let target = &target[0].key;
    assert_eq!(registry.restore_keys, ["v0-rust-registry-linux-x86_64-"]);
    assert_eq!(git.restore_keys, ["v0-rust-git-linux-x86_64-"]);
    assert_eq!(target.restore_keys.len(), 1);
    assert!(target.text.starts_with(&target.restore_keys[0]));
    assert_eq!(
        shape(&target.restore_keys[0]),
        "v0-rust-target-build-linux-x86_64-#-"
    );
    for change in [Set("RUSTUP_TOOLCHAIN", "stable"), Set("RUSTFLAGS", "-g")] {
        let mut other = Fixture::new();
        change.apply(&mut other);
        assert!(
            !other.keys().target[0]
                .key
                .text
                .starts_with(&target.restore_keys[0]),
            "{change:?}"
        );
    }
    // A new Cargo.lock finds the entry of the old one.
    fixture.replace("Cargo.lock", "1.0.1", "1.0.2");
    assert!(
        fixture.keys().target[0]
            .key
            .text
            .starts_with(&target.restore_keys[0])
    );
}

#[test]
fn parts_that_join_to_the_same_text_give_different_keys() {
    let keys = |key: &str, job: &str| {
        let mut fixture = Fixture::new();
        fixture.asked.key_inputs.key = key.to_owned();
        fixture.asked.job = job.to_owned();
        fixture.keys().target[0].key.clone()
    };
    let (one, other) = (keys("a", "b-c"), keys("a-b", "c"));
    assert_eq!(shape(&one.text), shape(&other.text));
    assert_ne!(one.text, other.text);
    assert_ne!(one.restore_keys, other.restore_keys);
}

#[test]
fn without_the_environment_a_target_has_one_key_that_is_no_prefix_of_others() {
    let mut fixture = Fixture::new();
    let with = fixture.keys();
    fixture.asked.key_inputs.add_environment = false;
    let without = fixture.keys();
    let key = &without.target[0].key;
    assert_eq!(shape(&key.text), "v0-rust-target-build-linux-x86_64-#");
    assert!(key.restore_keys.is_empty());
    assert!(!with.target[0].key.text.starts_with(&key.text));
    // Registry and git depend on nothing else.
    assert_eq!(
        (with.registry, with.git),
        (without.registry.clone(), without.git.clone())
    );
    fixture.set("RUSTFLAGS", "-g");
    fixture.replace("Cargo.lock", "1.0.1", "1.0.2");
    assert_eq!(fixture.keys().target[0].key.text, key.text);
}

#[test]
fn each_part_reports_its_position_in_the_key() {
    let keys = Fixture::new().keys();
    let of = |piece: KeySection| -> Vec<&str> {
        let parts = keys.target[0]
            .key
            .components
            .iter()
            .filter(|part| part.section == piece);
        parts.map(|part| part.name.as_str()).collect()
    };
    assert_eq!(
        of(KeySection::Readable),
        ["prefix", "job", "operating system", "architecture"]
    );
    assert_eq!(of(KeySection::Environment), ["toolchain", "variables"]);
    assert_eq!(
        of(KeySection::Contents),
        [
            "Cargo.lock",
            "Cargo.toml",
            "rust-toolchain",
            ".cargo/config.toml"
        ]
    );
}

#[test]
fn the_default_prefix_is_that_of_the_input() {
    let input = local_cache::action::inputs::INPUTS
        .iter()
        .find(|input| input.name == "prefix-key")
        .unwrap();
    assert_eq!(
        input.default,
        local_cache::cargo::key_inputs::DEFAULT_PREFIX_KEY
    );
}
