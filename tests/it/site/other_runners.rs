//! Sites of the native action, of runners of Forgejo and Gitea, and of containers that see a part of
//! the paths.

use local_cache::site::Site;
use local_cache::site::detect::{detect, needs_engine};
use local_cache::site::facts::{Confinement, RunnerKind, SiteFacts};
use local_cache::site::problem::{Problem, SiteNotice};
use local_cache::site::proc::parse_mountinfo;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::detect::{failing, with};

const ROOT: &str = "/tmp/runner-cache";

/// A container with these directories of the host.
fn mounted(facts: &mut SiteFacts, points: &[&str]) {
    let mut table = "1 0 0:1 / / rw - overlay overlay rw,upperdir=/u\n".to_owned();
    for point in points {
        writeln!(table, "2 1 0:2 {point} {point} rw - ext4 /dev/vda rw").unwrap();
    }
    facts.mounts = parse_mountinfo(table.as_bytes());
}

fn no_socket(change: impl FnOnce(&mut SiteFacts)) -> SiteFacts {
    failing(
        Problem::NoSocket(PathBuf::from("/var/run/docker.sock")),
        change,
    )
}

#[test]
fn the_native_action_works_where_the_steps_do_or_names_the_volume() {
    let beside = |confinement: Confinement, points: &[&str]| {
        with(|facts| {
            facts.beside_steps = true;
            facts.confinement = confinement;
            // The steps of a job's container may be root while the workspace is not.
            facts.runner_uid = Some(1001);
            mounted(facts, points);
        })
    };
    for (confinement, points, expected) in [
        (Confinement::No, &[][..], Site::Here),
        (Confinement::Container, &[ROOT][..], Site::Here),
        (Confinement::Pod, &[ROOT][..], Site::Here),
        (Confinement::Container, &["/__w"][..], Site::None),
    ] {
        let facts = beside(confinement, points);
        assert!(!needs_engine(&facts));
        let decision = detect(&facts);
        assert_eq!(decision.site, expected, "{confinement:?} {points:?}");
        let code = decision.problem().map(Problem::code);
        let refused = (expected == Site::None).then_some("root-not-in-job-container");
        assert_eq!(code, refused);
    }
}

#[test]
fn a_container_that_sees_a_part_of_the_paths_works_with_it_if_nothing_else_can() {
    let partly = |facts: &mut SiteFacts| {
        facts.home = Some("/root".into());
        facts.paths = vec!["~/.cargo".into(), "/github/workspace".into()];
        mounted(facts, &[ROOT, "/github/workspace"]);
    };
    let decision = detect(&no_socket(partly));
    assert_eq!(decision.site, Site::Here, "{:?}", decision.refused);
    let notice = SiteNotice::PathsInsideContainer(vec!["~/.cargo".into()]);
    assert_eq!(decision.notices, [notice]);
    // A phase that does not know the paths works at the same site.
    let unknown = detect(&no_socket(|facts| {
        partly(facts);
        facts.paths.clear();
    }));
    assert_eq!((unknown.site, unknown.notices), (Site::Here, Vec::new()));

    assert_eq!(detect(&with(partly)).site, Site::Host);
    for points in [&[ROOT][..], &["/github/workspace"]] {
        let facts = no_socket(|facts| {
            partly(facts);
            mounted(facts, points);
        });
        assert_eq!(detect(&facts).site, Site::None, "{points:?}");
    }
    // Files of root are worse than no cache.
    let as_root = no_socket(|facts| {
        partly(facts);
        facts.runner_uid = Some(1001);
    });
    assert_eq!(detect(&as_root).site, Site::None);
}

#[test]
fn runners_of_forgejo_and_gitea_are_told_their_own_settings() {
    let facts = no_socket(|facts| facts.runner = RunnerKind::Forge);
    let decision = detect(&facts);
    let problem = decision.problem().unwrap();
    assert_eq!(problem.code(), "no-socket-of-forge");
    assert!(
        problem
            .to_string()
            .contains("container.docker_host: automount")
    );

    let unlisted = with(|facts| {
        facts.runner = RunnerKind::Forge;
        facts.beside_steps = true;
        mounted(facts, &[]);
    });
    let decision = detect(&unlisted);
    let problem = decision.problem().unwrap();
    assert_eq!(problem.code(), "root-not-in-forge-container");
    assert!(problem.to_string().contains("container.valid_volumes"));
}
