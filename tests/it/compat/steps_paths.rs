//! Steps as public workflows write them, through the three phases: their paths.

use std::fs;

use super::steps::forms;
use crate::support::machine::{Machine, mode, set_mode};

forms! {
    point_09_binaries_of_which_some_are_not_built:
        "path: |\n  ~/.cargo/bin/cargo-nextest\n  ~/.cargo/bin/cargo-deny\n  ~/.cargo/bin/dd-rust-license-tool\n\
         key: Linux-cargo-binaries-0123\nrestore-keys: |\n  Linux-cargo-binaries-\n",
        ["~/.cargo/bin/cargo-deny", "~/.cargo/bin/rustc"], but "~/.cargo/bin/rustc";
    point_12_everything_of_cargo_in_one_list:
        "path: |\n  ~/.cargo/bin/\n  ~/.cargo/registry/index/\n  ~/.cargo/registry/cache/\n  ~/.cargo/git/db/\n  target/\n\
         key: Linux-cargo-0123\nrestore-keys: Linux-cargo-\n",
        ["~/.cargo/bin/a", "~/.cargo/registry/index/b", "~/.cargo/registry/cache/c", "~/.cargo/registry/src/x",
         "~/.cargo/git/db/d", "target/debug/e"], but "~/.cargo/registry/src/x";
    point_12_a_self_hosted_build_of_several_checkouts:
        "path: |\n  ~/.cargo/registry\n  ~/.cargo/git\n  blvm-node/target\nkey: Linux-blvm-node-cargo-0123\n\
         restore-keys: |\n  Linux-blvm-node-cargo-\n",
        ["~/.cargo/registry/a", "~/.cargo/git/b", "blvm-node/target/release/blvm", "blvm/target/x"],
        but "blvm/target/x";
    point_12_a_path_of_the_machine: "{path: $TMP/usr/local/cargo/registry, key: k}",
        ["$TMP/usr/local/cargo/registry/a"];
    point_12_the_runners_temporary_directory: "{path: $TMP/_temp/llvm, key: llvm-1}", ["$TMP/_temp/llvm/bin/clang"];
    point_14_a_tilde_out_of_an_expression: "{path: '~/.cache/pre-commit', key: pre-commit-1}",
        ["~/.cache/pre-commit/a"];
    point_14_a_tilde_beside_one_for_windows: "path: |\n  ~/.local/share/x\n  ~\\AppData\\Local\\x\nkey: k\n",
        ["~/.local/share/x/a"];
    point_15_one_plain_line: "path: node_modules\nkey: Linux-1\n", ["node_modules/a"];
    point_15_a_block_without_its_last_newline: "path: |-\n  a\n  b\nkey: k\n", ["a/x", "b/x"];
    point_15_an_expression_of_several_lines: "{path: \"./target/deploy\\n./node_modules\\n\", key: k}",
        ["target/deploy/a", "node_modules/b"];
    point_15_an_expression_that_adds_lines_and_one_that_is_empty:
        "path: |\n  ~/.cache/pip\n  \n  ~/.cargo/registry\n  extra/path\n\nkey: k\n",
        ["~/.cache/pip/a", "~/.cargo/registry/b", "extra/path/c"];
    point_15_a_comment_among_the_paths:
        "path: |\n  # Taken from <https://doc.rust-lang.org/cargo/guide/cargo-home.html>.\n  ~/.cargo/bin\n  # Keep the index.\n  ~/.cargo/registry/index\nkey: k\n",
        ["~/.cargo/bin/a", "~/.cargo/registry/index/b"];
    point_15_an_absolute_path_through_the_workspace: "path: $WORKSPACE/.tox\nkey: k\n", [".tox/a"];
    point_15_slashes_and_dots: "path: |\n  ./build/\n  .//dist\nkey: k\n", ["build/a", "dist/b"];
    point_16_archives_are_left_out_of_target:
        "path: |\n  ./target\n  !./target/*/gn_out\n  !./target/*/*.zip\n  !./target/*/*.tar.gz\nkey: k\n",
        ["target/release/deno", "target/release/deno.zip", "target/release/src.tar.gz", "target/release/gn_out/a"],
        but "target/release/deno.zip", "target/release/src.tar.gz", "target/release/gn_out/a";
    point_16_one_package_is_left_out_of_a_repository_the_upstream_way:
        "path: |\n  ~/.m2/repository/*/*\n  !~/.m2/repository/org/keycloak\nkey: k\n",
        ["~/.m2/repository/org/apache/a", "~/.m2/repository/org/keycloak/b", "~/.m2/repository/com/c/d"],
        but "~/.m2/repository/org/keycloak/b";
    point_17_nested_matches: "{path: '**/node_modules', key: k}",
        ["node_modules/a", "packages/x/node_modules/b", "packages/x/src"], but "packages/x/src";
    point_17_hidden_names_and_one_level: "path: |\n  target/*/.*\n  target/*/build\nkey: k\n",
        ["target/debug/.fingerprint/a", "target/debug/build/b", "target/debug/deps/c"], but "target/debug/deps/c";
    point_17_files_by_a_part_of_their_name: "{path: 'lib/binding/tree-sitter-*.wasm', key: k}",
        ["lib/binding/tree-sitter-c.wasm", "lib/binding/tree-sitter.js"], but "lib/binding/tree-sitter.js";
    point_19_a_program_of_its_own: "{path: target/debug/xtask, key: k}", ["target/debug/xtask"];
    point_20_the_whole_workspace: "path: ./\nkey: k\n", [".git/HEAD", "lib/a", ".htaccess"];
}

#[test]
fn point_18_a_checkout_at_another_depth() {
    let machine = Machine::new();
    let job = machine.job();
    let with = "path: |\n  ~/.m2/repository/*/*\n  target\nkey: k\n";
    let mut step = job.cache().with_yaml(with);
    step.main().passed();
    job.file("~/.m2/repository/a/b/c", "1");
    job.file("target/a", "2");
    step.post().passed().logs("Cache saved");
    fs::remove_dir_all(job.locate("~/.m2")).unwrap();
    let deep = machine.path("work/deep/er/still");
    fs::create_dir_all(&deep).unwrap();
    let mut job = machine.job().var("GITHUB_WORKSPACE", &deep);
    job.workspace = deep;
    assert_eq!(job.cache().with_yaml(with).main().passed().hit(), "true");
    assert_eq!(job.read("~/.m2/repository/a/b/c").as_deref(), Some("1"));
    assert_eq!(job.read("target/a").as_deref(), Some("2"));
}

#[test]
fn point_19_bits_and_links_of_a_virtual_environment() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with_yaml("{path: venv, key: k}");
    step.main().passed();
    set_mode(&job.file("venv/bin/pip", "#!"), 0o755);
    set_mode(&job.file("venv/secret", "s"), 0o600);
    job.link("venv/bin/python", "/usr/bin/python3");
    step.post().passed().logs("Cache saved");
    let job = machine.job();
    assert_eq!(
        job.cache()
            .with_yaml("{path: venv, key: k}")
            .main()
            .passed()
            .hit(),
        "true"
    );
    assert_eq!(
        (
            mode(&job.locate("venv/bin/pip")),
            mode(&job.locate("venv/secret"))
        ),
        (0o755, 0o600)
    );
    assert_eq!(
        fs::read_link(job.locate("venv/bin/python"))
            .unwrap()
            .to_str(),
        Some("/usr/bin/python3")
    );
}

#[test]
fn point_21_times_to_the_nanosecond() {
    let machine = Machine::new();
    let job = machine.job();
    let mut step = job.cache().with_yaml("{path: target, key: k}");
    step.main().passed();
    let path = job.file("target/debug/.fingerprint/a", "1");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 987_654_321);
    fs::File::open(&path).unwrap().set_modified(time).unwrap();
    let folder = job.locate("target/debug");
    fs::File::open(&folder).unwrap().set_modified(time).unwrap();
    step.post().passed().logs("Cache saved");
    let job = machine.job();
    job.cache()
        .with_yaml("{path: target, key: k}")
        .main()
        .passed();
    for name in ["target/debug/.fingerprint/a", "target/debug"] {
        assert_eq!(
            job.locate(name).metadata().unwrap().modified().unwrap(),
            time,
            "{name}"
        );
    }
}
