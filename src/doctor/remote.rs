//! The check of the remote: whether it can be reached, and what this machine may do there.

use super::finding::{DoctorOptions, Finding, Status};
use crate::action::origin::is_of_branch;
use crate::fmt::human::age;
use crate::fs::Local;
use crate::monitor::Silent;
use crate::remote::{ProbeFailure, RemoteConfig, RemoteProbe, Trust, probe, remote_url};
use crate::stats::event;
use crate::store::Store;
use crate::store::background_push::BackgroundPush;

const CHECK: &str = "remote";
/// S3 refuses requests whose time differs by more than 15 minutes.
const REFUSED_SKEW: u64 = 15 * 60;
/// A clock that differs by so many seconds is not synchronized.
const MAX_SKEW: u64 = 60;

/// None without a remote, and one for each thing that is wrong with it.
pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    let home = Some(options.home.clone()).filter(|home| home.is_absolute());
    let named = options.env.text("LOCAL_CACHE_REMOTE");
    let url = match remote_url(named, &options.cache_root, &Local::new(home)) {
        Ok(None) => return Vec::new(),
        Ok(Some(url)) => url,
        Err(error) => return vec![Finding::unknown(CHECK, &error)],
    };
    let config = match RemoteConfig::parse(&url) {
        Ok(config) => config,
        Err(error) => {
            let advice = "correct the remote's URL; docs/remote.md lists its options";
            return vec![Finding::warning(CHECK, error, advice)];
        }
    };
    let trust = Trust::of_branch(is_of_branch(&options.env));
    let mut findings = match probe(&config, &options.env, trust, &Silent) {
        Ok(found) => of_probe(&found),
        Err(error) => vec![Finding::unknown(CHECK, &error)],
    };
    // What is wrong now is most likely what was wrong then.
    if findings.iter().all(|finding| finding.status == Status::Ok) {
        let store = Store::open(&options.cache_root).ok().flatten();
        let last = store.and_then(|store| store.background_push());
        findings.extend(last.and_then(|last| of_background(&last, event::now())));
    }
    findings
}

fn of_background(last: &BackgroundPush, now: i64) -> Option<Finding> {
    let failed = last.what_failed(now)?;
    let advice = "`local-cache remote push` copies what is missing there; so does the next save";
    let found = format!("the last copy in the background to {} {failed}", last.place);
    Some(Finding::warning(CHECK, found, advice))
}

fn of_probe(probe: &RemoteProbe) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &probe.failure {
        Some(ProbeFailure::Clock) => return vec![refused_clock(probe)],
        Some(ProbeFailure::Other(error)) => findings.push(Finding::unknown(CHECK, error)),
        None => {}
    }
    if !probe.refused.is_empty() {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "the remote {} does not permit to {}",
                probe.place,
                listed(&probe.refused)
            ),
            "let the bucket's policy allow it (docs/remote.md), or use push=never to only read",
        ));
    }
    if let Some(reason) = probe.useless_pushes {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "no machine with the same keys uses what this one pushes to {}: {reason}",
                probe.place
            ),
            "correct the options, or use push=never to only read (docs/remote.md)",
        ));
    }
    let skew = probe.clock_seconds_ahead.unwrap_or_default();
    if skew.unsigned_abs() >= MAX_SKEW {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "the clock of the remote {} is {}; requests are refused from {} on",
                probe.place,
                difference(skew),
                seconds(REFUSED_SKEW)
            ),
            "synchronize the clock of this machine",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, summary(probe)));
    }
    findings
}

fn refused_clock(probe: &RemoteProbe) -> Finding {
    let by = probe.clock_seconds_ahead.map_or_else(String::new, |skew| {
        format!(", because its clock is {}", difference(skew))
    });
    Finding::warning(
        CHECK,
        format!("the remote {} refuses requests{by}", probe.place),
        "synchronize the clock of this machine",
    )
}

fn summary(probe: &RemoteProbe) -> String {
    let latency = probe.latency.map_or_else(String::new, |latency| {
        format!(" answers in {} ms", latency.as_millis())
    });
    let may = if probe.is_read_only {
        "listed and read (push=never)"
    } else if probe.left_object {
        "listed, read and written, and not deleted, which only `remote gc` needs"
    } else {
        "listed, read and written"
    };
    let clock = probe.clock_seconds_ahead.map_or_else(String::new, |skew| {
        format!("; its clock is {}", difference(skew))
    });
    format!("{}{latency}; entries may be {may}{clock}", probe.place)
}

/// `20 minutes ahead of this machine's`.
fn difference(skew: i64) -> String {
    match skew {
        -1..=1 => "the same as this machine's".to_owned(),
        2.. => format!("{} ahead of this machine's", seconds(skew.unsigned_abs())),
        _ => format!("{} behind this machine's", seconds(skew.unsigned_abs())),
    }
}

fn seconds(number: u64) -> String {
    age(std::time::Duration::from_secs(number))
}

/// `list`, `list and write`, `list, read and write`.
fn listed(actions: &[&str]) -> String {
    match actions {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        actions => actions.concat(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::Status;
    use crate::error::Error;

    fn probe() -> RemoteProbe {
        RemoteProbe {
            place: "s3://bucket/ci".into(),
            latency: Some(Duration::from_millis(12)),
            clock_seconds_ahead: Some(0),
            ..RemoteProbe::default()
        }
    }

    /// What is found, without the advice. The status follows from whether anything is wrong.
    #[track_caller]
    fn check(probe: &RemoteProbe, expected: &[&str], status: Status) {
        let findings = of_probe(probe);
        let found: Vec<&str> = findings.iter().map(|finding| &*finding.found).collect();
        assert_eq!(found, expected);
        for finding in &findings {
            assert_eq!((finding.status, finding.check), (status, "remote"));
            assert_eq!(finding.advice.is_some(), status != Status::Ok);
        }
    }

    #[test]
    fn a_remote_that_works_is_one_line() {
        let text = "s3://bucket/ci answers in 12 ms; entries may be listed, read and written; its clock is the same as this machine's";
        check(&probe(), &[text], Status::Ok);
        let read_only = RemoteProbe {
            is_read_only: true,
            clock_seconds_ahead: None,
            ..probe()
        };
        let text = "s3://bucket/ci answers in 12 ms; entries may be listed and read (push=never)";
        check(&read_only, &[text], Status::Ok);
        let kept = RemoteProbe {
            left_object: true,
            clock_seconds_ahead: Some(-20),
            ..probe()
        };
        let text = "s3://bucket/ci answers in 12 ms; entries may be listed, read and written, and not deleted, which only `remote gc` needs; its clock is 20 s behind this machine's";
        check(&kept, &[text], Status::Ok);
    }

    #[test]
    fn each_cause_is_one_warning() {
        let failure = Error::Remote {
            what: "the remote s3://bucket/ci does not work: no answer in time".into(),
            advice: "check the server",
        };
        let failed = RemoteProbe {
            failure: Some(ProbeFailure::Other(failure)),
            ..probe()
        };
        let text = "the remote s3://bucket/ci does not work: no answer in time";
        check(&failed, &[text], Status::Warning);
        let refused = RemoteProbe {
            refused: vec!["list", "read", "write"],
            clock_seconds_ahead: Some(600),
            ..probe()
        };
        let texts = [
            "the remote s3://bucket/ci does not permit to list, read and write",
            "the clock of the remote s3://bucket/ci is 10 min ahead of this machine's; requests are refused from 15 min on",
        ];
        check(&refused, &texts, Status::Warning);
        let useless = RemoteProbe {
            useless_pushes: Some("the option trust is set without sign"),
            ..probe()
        };
        let text = "no machine with the same keys uses what this one pushes to s3://bucket/ci: the option trust is set without sign";
        check(&useless, &[text], Status::Warning);
        let skewed = RemoteProbe {
            failure: Some(ProbeFailure::Clock),
            clock_seconds_ahead: Some(-1200),
            ..probe()
        };
        let text = "the remote s3://bucket/ci refuses requests, because its clock is 20 min behind this machine's";
        check(&skewed, &[text], Status::Warning);
    }

    #[test]
    fn actions_are_a_list_in_english() {
        assert_eq!(listed(&["write"]), "write");
        assert_eq!(listed(&["list", "write"]), "list and write");
    }
}
