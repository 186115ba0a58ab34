//! Crates in a directory of the checkout.

use super::support::{BUILD, Files, Host};

/// A project with a vendored crate: its value, and what its checksum file says.
fn vendoring(value: &str, checksum: &str) -> Files {
    Files::default()
        .with_package(".", "app", "[dependencies]\ndep = \"0.1\"")
        .with("src/main.rs", "fn main() { println!(\"{}\", dep::V); }")
        .with(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"",
        )
        .with_package("vendor/dep", "dep", "")
        .with("vendor/dep/src/lib.rs", format!("pub const V: &str = \"{value}\";"))
        .with(
            "vendor/dep/.cargo-checksum.json",
            format!("{{\"files\":{checksum},\"package\":\"{}\"}}", "0".repeat(64)),
        )
}

/// A vendored crate is rebuilt only with another key, so the job may also miss.
fn jobs(commits: &[(Files, &str)]) {
    let host = Host::new();
    for (files, expected) in commits {
        let files = host.locked(files.clone());
        for is_repeated in [false, true] {
            let job = host.job(&files);
            job.restore();
            let built = job.builds_like_clean(BUILD);
            assert_eq!(built.output("app"), *expected);
            if is_repeated {
                built.compiled_only(&[]);
            }
            job.save(&["--move"]);
        }
    }
}

#[test]
fn a_vendored_crate_that_was_patched_in_place_is_compiled_again() {
    jobs(&[
        (vendoring("one", "{}"), "one"),
        (vendoring("two", "{}"), "two"),
        (vendoring("one", "{}"), "one"),
    ]);
}

#[test]
fn a_vendored_crate_with_another_checksum_file_is_compiled_again() {
    // The digest of the file that the checksum file names.
    let digest = |value: &str| {
        use sha2::{Digest as _, Sha256};
        let text = format!("pub const V: &str = \"{value}\";\n");
        let digest = Sha256::digest(text.as_bytes());
        let hex = digest
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        format!("{{\"src/lib.rs\":\"{hex}\"}}")
    };
    jobs(&[
        (vendoring("one", &digest("one")), "one"),
        (vendoring("two", &digest("two")), "two"),
    ]);
}
