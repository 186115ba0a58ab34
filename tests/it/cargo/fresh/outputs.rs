//! What must not come back with a target directory, and what must.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::host::Job;
use super::support::{BUILD, Files, Hit, Host, TESTS};

/// A version of a project with some programs.
fn version(version: &str, programs: &[&str]) -> Files {
    let mut files = Files::default()
        .with(
            "Cargo.toml",
            format!("[package]\nname = \"app\"\nversion = \"{version}\"\nedition = \"2021\"\n"),
        )
        .with(
            "src/lib.rs",
            format!("pub mod in_{} {{}}", version.replace('.', "_")),
        );
    for name in programs {
        let text = format!("fn main() {{ println!(\"{name}\"); }}");
        files.set(&format!("src/bin/{name}.rs"), text.clone());
        files.set(&format!("examples/{name}_example.rs"), text);
    }
    files
}

/// What packaging tools leave in the target directory.
fn package(job: &Job<'_>, version: &str) -> Vec<String> {
    let products = [
        format!("wheels/app-{version}-py3.whl"),
        format!("debian/app_{version}.deb"),
        format!("debug/bundle/deb/app_{version}.deb"),
        format!("package/app-{version}.crate"),
        format!("nextest/ci/junit-{version}.xml"),
        format!("llvm-cov/{version}.profdata"),
        format!("tmp/left-by-{version}"),
    ];
    for product in &products {
        job.write(&format!("target/{product}"), version);
    }
    products.to_vec()
}

fn existing(job: &Job<'_>, products: &[String]) -> Vec<String> {
    let exists = |name: &&String| job.path("target").join(name).exists();
    products.iter().filter(exists).cloned().collect()
}

const DOC: &[&str] = &["doc", "--no-deps"];
const ALL_TARGETS: &[&str] = &["build", "--all-targets"];

#[test]
fn programs_documentation_and_packages_of_earlier_versions_do_not_come_back() {
    for option in [&["--move"][..], &[]] {
        let host = Host::new();
        let job = host.job(&host.locked(version("0.1.0", &["oldtool", "tool"])));
        job.restore();
        assert!(job.build(ALL_TARGETS).succeeded && job.build(DOC).succeeded);
        let products = package(&job, "0.1.0");
        job.save(option);

        let job = host.job(&host.locked(version("0.2.0", &["tool"])));
        assert_ne!(job.restore(), Hit::Miss);
        assert_eq!(existing(&job, &products), Vec::<String>::new());
        for command in [ALL_TARGETS, DOC] {
            job.builds_like_clean(command);
        }
        let clean = clean_products(&job, &[ALL_TARGETS, DOC]);
        assert_eq!(job.build(DOC).products, clean);
        let products = package(&job, "0.2.0");
        job.save(option);

        // Unchanged, and still without packages.
        let job = host.job(&host.locked(version("0.2.0", &["tool"])));
        assert_eq!(job.restore(), Hit::Exact);
        assert_eq!(existing(&job, &products), Vec::<String>::new());
        job.builds_like_clean(ALL_TARGETS).compiled_only(&[]);
        job.builds_like_clean(DOC);
        assert_eq!(job.build(DOC).products, clean);
        job.save(option);
    }
}

/// What users see in the target directory after some commands from an empty one.
fn clean_products(job: &Job<'_>, commands: &[&[&str]]) -> BTreeSet<String> {
    let host = job.host;
    let copy = host.path("clean");
    super::support::place::copy(&host.place(), &copy, false);
    let products = host.with_place(&copy, || {
        let mut products = BTreeSet::new();
        for command in commands {
            products = job.build(command).products;
        }
        products
    });
    fs::remove_dir_all(copy).unwrap();
    products
}

#[test]
fn outputs_that_an_input_names_come_back() {
    let host = Host::new();
    let files = host.locked(version("0.1.0", &["tool"]));
    let options = [
        "--keep-output",
        "wheels/**",
        "--keep-output",
        "debian/*.deb",
    ];
    let job = host.job(&files);
    host.restore(&job.directory, &[]);
    assert!(job.build(BUILD).succeeded);
    let products = package(&job, "0.1.0");
    job.save(&[&options[..], &["--move"]].concat());
    for _ in 0..2 {
        let job = host.job(&files);
        assert_eq!(host.restore(&job.directory, &[]), Hit::Exact);
        assert_eq!(existing(&job, &products), products[..2]);
        job.builds_like_clean(BUILD).compiled_only(&[]);
        job.save(&options);
    }
}

#[test]
fn a_test_finds_an_empty_temporary_directory() {
    let host = Host::new();
    let files = host.locked(version("0.1.0", &["tool"]).with(
        "tests/t.rs",
        "#[test] fn t() { std::fs::create_dir(concat!(env!(\"CARGO_TARGET_TMPDIR\"), \"/work\")).unwrap(); }",
    ));
    let built = host.first_job(&files, TESTS);
    assert!(
        built.printed["app test t as test"].contains("1 passed"),
        "{built:#?}"
    );
    for _ in 0..2 {
        let built = host.next_job(&files, TESTS);
        built.compiled_only(&[]);
        assert!(
            built.printed["app test t as test"].contains("1 passed"),
            "{built:#?}"
        );
    }
}

#[test]
fn a_program_that_a_step_replaced_is_as_cargo_built_it_in_the_next_job() {
    let host = Host::new();
    let files = host.locked(version("0.1.0", &["tool"]));
    let packed = |job: &Job<'_>| {
        job.write("packed", "#!/bin/sh\necho packed");
        let packed = job.path("packed");
        fs::set_permissions(&packed, fs::Permissions::from_mode(0o755)).unwrap();
        packed
    };
    // By a rename, as `strip` and `upx` do.
    let job = host.job(&files);
    job.restore();
    job.build(BUILD);
    fs::rename(packed(&job), job.path("target/debug/tool")).unwrap();
    job.save(&["--move"]);
    let job = host.job(&files);
    assert_eq!(job.restore(), Hit::Exact);
    let built = job.builds_like_clean(BUILD);
    assert_eq!(built.compiled_only(&[]).output("tool"), "tool");
    // In place: the file has another name in `deps`.
    fs::write(job.path("target/debug/tool"), "#!/bin/sh\necho packed\n").unwrap();
    job.save(&["--move"]);
    assert_eq!(host.next_job(&files, BUILD).output("tool"), "tool");
}
