//! Decides which outputs in a listing of target directories a build can use.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::cargo::target_dir::{Profile, TargetDir};
use crate::cargo::target_gc::docs::{DocDir, doc_records, is_doc_current};
use crate::cargo::target_gc::incremental::unused_incremental;
use crate::cargo::target_gc::reachable::{
    BuildFacts, changed_output, is_product_of_run, reachable_units,
};
use crate::cargo::target_gc::unused::UnusedOutputs;

/// What was read of target directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetListing {
    /// Target directories, and those of intermediate artifacts.
    pub roots: Vec<PathBuf>,
    /// The profiles of all of them.
    pub target: TargetDir,
    pub docs: Vec<DocDir>,
}

pub(crate) fn unused_outputs(listing: &TargetListing, facts: BuildFacts<'_>) -> UnusedOutputs {
    let target = &listing.target;
    let mut unused = UnusedOutputs::new(&listing.roots);
    let reachable = reachable_units(target, facts);
    for root in &listing.roots {
        unused.add_own_files(root);
    }
    for (profile, is_reachable) in target.profiles.iter().zip(&reachable) {
        log_changed(profile, facts);
        unused.add_profile(profile, is_reachable);
    }
    for doc in &listing.docs {
        if is_doc_current(doc, target, &reachable) {
            unused.add_used(doc.directory.clone());
        } else {
            unused.excluded.extend(doc_records(doc, target));
        }
    }
    unused
}

impl UnusedOutputs {
    fn add_profile(&mut self, profile: &Profile, is_reachable: &[bool]) {
        let units = || profile.units.iter().zip(is_reachable);
        let used = || units().filter(|(_, used)| **used).map(|(unit, _)| unit);
        let with_record: HashSet<&str> = used().map(|unit| &*unit.hash).collect();
        let with_outputs: HashSet<&str> = used()
            .filter(|unit| !unit.is_doc())
            .map(|unit| &*unit.hash)
            .collect();
        if let Some(platform) = profile.directory.parent() {
            self.add_own_files(platform);
        }
        for (path, hash) in &profile.outputs {
            // The layout by units has one directory for both.
            let has_record = || units().any(|(unit, _)| unit.record_dir.starts_with(path));
            let hash = hash.as_str();
            if with_outputs.contains(hash) || (with_record.contains(hash) && has_record()) {
                self.add_used(profile.directory.join(path));
            }
        }
        for (unit, _) in units().filter(|(_, used)| !**used) {
            self.units += 1;
            self.excluded.extend(profile.record_files(unit));
        }
        let files = profile.units.iter().flat_map(|unit| &unit.artifacts);
        let products = files.filter(|path| is_product_of_run(path));
        self.excluded
            .extend(products.map(|path| profile.directory.join(path)));
        for incremental in &profile.incremental {
            let directory = profile.directory.join("incremental");
            self.add_used(directory.join(&incremental.name));
        }
        self.excluded
            .extend(unused_incremental(profile, is_reachable));
    }
}

fn log_changed(profile: &Profile, facts: BuildFacts<'_>) {
    for unit in &profile.units {
        if let Some(path) = changed_output(profile, unit, facts.mtime) {
            log::debug!(
                "{} was changed after it was built, so {} of {} is not saved",
                path.display(),
                unit.name,
                unit.package
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cargo::target_dir::{Incremental, Unit};
    use crate::cargo::target_gc::unused::KeepFn;
    use crate::fs::Timestamp;
    use crate::glob::Filter;

    const HASHES: [&str; 4] = [
        "0000000000000001",
        "0000000000000002",
        "0000000000000003",
        "0000000000000004",
    ];

    fn unit(name: &str, hash: &str, fingerprint: Option<u64>) -> Unit {
        Unit {
            package: "app".to_owned(),
            hash: hash.to_owned(),
            name: name.to_owned(),
            fingerprint,
            record_dir: Path::new(".fingerprint").join(format!("app-{hash}")),
            artifacts: vec![format!("deps/{name}-{hash}").into()],
            ..Unit::default()
        }
    }

    const FACTS: BuildFacts<'_> = BuildFacts {
        needed: None,
        own_targets: None,
        is_source: &|_| true,
        mtime: &|_| None,
        now: Timestamp {
            seconds: 0,
            nanoseconds: 0,
        },
    };

    /// Two kept units, one that failed, and documentation.
    fn listing() -> TargetListing {
        let [kept, failed, unknown, platform] = HASHES;
        let outputs = [
            (format!(".fingerprint/app-{kept}"), kept),
            (format!("deps/libapp-{kept}.rlib"), kept),
            (format!("deps/app-{kept}.gcda"), kept),
            (format!("build/app-{kept}"), kept),
            (format!(".fingerprint/app-{failed}"), failed),
            (format!("deps/app-{failed}.d"), failed),
            (format!("examples/try-{unknown}"), unknown),
        ];
        let mut covered = unit("lib-app", kept, Some(1));
        covered
            .artifacts
            .push(format!("deps/app-{kept}.gcda").into());
        let debug = Profile {
            directory: "/t/debug".into(),
            units: vec![
                covered,
                unit("doc-lib-app", kept, Some(3)),
                unit("bin-app", failed, None),
                unit("doc-bin-gone", kept, None),
            ],
            outputs: outputs
                .map(|(path, hash)| (path.into(), hash.to_owned()))
                .into(),
            record_dirs: Vec::new(),
            incremental: vec![Incremental {
                name: "app-1".into(),
                modified: Timestamp::default(),
                sessions: Vec::new(),
            }],
        };
        let of_platform = Profile {
            directory: "/t/wasm32-wasip1/debug".into(),
            units: vec![unit("bin-app", platform, Some(4))],
            outputs: vec![("deps/app.wasm".into(), platform.to_owned())],
            record_dirs: Vec::new(),
            incremental: Vec::new(),
        };
        TargetListing {
            roots: vec!["/t".into(), "/b".into()],
            target: TargetDir {
                profiles: vec![debug, of_platform],
            },
            docs: vec![DocDir {
                directory: "/t/doc".into(),
                profiles: vec!["/t/debug".into()],
                crates: vec!["app".into()],
            }],
        }
    }

    /// Which of some paths are included, if all directories are visited.
    fn included<'p>(filter: &impl Fn(&Path, bool) -> Filter, paths: &[&'p str]) -> Vec<&'p str> {
        let is_included = |path: &&&str| {
            let path = Path::new(path.trim_end_matches('/'));
            let is_root = |path: &Path| path.parent().is_some_and(|above| above.parent().is_none());
            let mut above: Vec<&Path> =
                path.ancestors().take_while(|path| !is_root(path)).collect();
            above.reverse();
            above.iter().enumerate().all(|(level, step)| {
                match filter(step, level + 1 < above.len()) {
                    Filter::Include => true,
                    Filter::IncludeIfNonEmpty => level + 1 < above.len(),
                    Filter::Exclude => false,
                }
            })
        };
        paths.iter().filter(is_included).copied().collect()
    }

    #[test]
    fn only_what_cargo_can_use_is_included() {
        let unused = unused_outputs(&listing(), FACTS);
        assert_eq!(unused.units, 2);
        let filter = unused.into_filter(None);
        let used = [
            "/t/CACHEDIR.TAG",
            "/t/.rustc_info.json",
            "/t/debug/.fingerprint/app-0000000000000001/lib-app.json",
            "/t/debug/.fingerprint/app-0000000000000001/doc-lib-app",
            "/t/tmp",
            "/t/debug/deps/libapp-0000000000000001.rlib",
            "/t/debug/build/app-0000000000000001/out/any/file",
            "/t/debug/incremental/app-1/s-a1-x-h/part",
            "/t/doc/app/index.html",
            "/t/wasm32-wasip1/CACHEDIR.TAG",
            "/t/wasm32-wasip1/debug/deps/app.wasm",
        ];
        let unused = [
            "/t/tmp/left",
            "/t/package/app-0.1.0.crate",
            "/t/notes.txt",
            "/t/llvm-cov-target/debug/deps/libapp-0000000000000001.rlib",
            "/t/debug/app",
            "/t/debug/.cargo-lock",
            "/t/debug/bundle/app.deb",
            "/t/debug/deps/libplain.so",
            "/t/debug/deps/app-0000000000000002.d",
            "/t/debug/deps/app-0000000000000001.gcda",
            "/t/debug/.fingerprint/app-0000000000000002/bin-app",
            "/t/debug/.fingerprint/app-0000000000000001/doc-bin-gone.json",
            "/t/debug/examples/try-0000000000000003",
            "/t/debug/examples/try",
            "/t/debug/incremental/gone-1/s-a1-x-h",
            "/t/wasm32-wasip1/tmp/left",
            "/b/notes.txt",
        ];
        assert_eq!(included(&filter, &[&used[..], &unused].concat()), used);
    }

    #[test]
    fn documentation_with_a_crate_that_is_gone_is_excluded_with_its_fingerprints() {
        let mut listing = listing();
        listing.docs[0].crates.push("gone".into());
        let filter = unused_outputs(&listing, FACTS).into_filter(None);
        let record = "/t/debug/.fingerprint/app-0000000000000001";
        let paths = [
            "/t/doc/app/index.html",
            &*format!("{record}/doc-lib-app"),
            &*format!("{record}/doc-lib-app.json"),
            &*format!("{record}/lib-app"),
        ];
        assert_eq!(included(&filter, &paths), [paths[3]]);
    }

    #[test]
    fn further_paths_are_excluded() {
        let mut unused = unused_outputs(&listing(), FACTS);
        let record = ".fingerprint/app-0000000000000001";
        unused.exclude(Path::new("/t"), [Path::new("debug").join(record)]);
        let filter = unused.into_filter(None);
        let paths = ["/t/debug/.fingerprint/app-0000000000000001/lib-app"];
        assert!(included(&filter, &paths).is_empty());
    }

    #[test]
    fn what_the_user_names_is_included_with_the_directories_above_it() {
        let is_kept: KeepFn = Box::new(|path| {
            path.starts_with("wheels") || path.extension().is_some_and(|it| it == "deb")
        });
        let filter = unused_outputs(&listing(), FACTS).into_filter(Some(is_kept));
        let kept = [
            "/t/wheels/new/app.whl",
            "/t/debug/bundle/deb/app.deb",
            "/t/debug/deps/libapp-0000000000000001.rlib",
            "/t/doc/app/index.html",
        ];
        let others = [
            "/t/debug/bundle/deb/control",
            "/t/package/app.crate",
            "/t/debug/app",
        ];
        assert_eq!(included(&filter, &[&kept[..], &others].concat()), kept);
        let bundle = Path::new("/t/debug/bundle");
        assert_eq!(filter(bundle, true), Filter::IncludeIfNonEmpty);
    }
}
