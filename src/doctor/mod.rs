//! `doctor`: the checks of the troubleshooting guide, each with advice.
//!
//! Checks change nothing: they remove the files that they create, and only count damaged entries. A
//! check that fails itself is reported, and the others still run.

mod as_action;
mod container;
mod disk;
mod docker;
mod environment;
mod finding;
#[cfg(feature = "remote")]
mod remote;
mod store;

pub use finding::{ActionImage, DoctorOptions, Finding, Status};

use crate::fs::files::nearest_existing;

pub(crate) fn run_checks(options: &DoctorOptions) -> Vec<Finding> {
    let root = store::root(options);
    // A root that does not exist yet will be on the filesystem of its nearest existing ancestor.
    let existing = nearest_existing(&options.cache_root);
    let mut findings = disk::findings(&existing);
    // If nothing can be written there, each test would fail for that one reason.
    if root.status != Status::Problem {
        findings.extend(disk::tests(options, &existing));
    }
    findings.insert(0, root);
    findings.extend(store::findings(options));
    findings.extend(environment::findings(options));
    #[cfg(feature = "remote")]
    findings.extend(remote::findings(options));
    if let Some(image) = &options.as_action {
        let is_reported = |finding: &Finding| {
            finding.check == environment::ENGINE && finding.status != Status::Ok
        };
        let is_engine_reported = findings.iter().any(is_reported);
        findings.extend(as_action::findings(
            options,
            image.name(),
            is_engine_reported,
        ));
    }
    findings
}

/// The worst status of all findings.
pub(crate) fn worst(findings: &[Finding]) -> Status {
    findings
        .iter()
        .map(|finding| finding.status)
        .max()
        .unwrap_or(Status::Ok)
}
