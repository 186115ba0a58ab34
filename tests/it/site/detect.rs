//! Which site is chosen: tables of environments, obstacles and messages.

use local_cache::site::detect::{detect, needs_engine};
use local_cache::site::facts::{
    Confinement, Container, EngineReport, JobContainer, OutputFile, RunnerKind, SiteFacts,
    SocketFile, WorkspaceDir,
};
use local_cache::site::paths::MountMap;
use local_cache::site::problem::{Problem, SiteNotice};
use local_cache::site::proc::{UidMap, parse_mountinfo};
use local_cache::site::{Site, SitePreference};
use std::path::PathBuf;
use std::time::Duration;

use crate::site::paths::{action_mounts, job_mounts};

const SOCKET: &str = "/var/run/docker.sock";
const ROOT: &str = "/tmp/runner-cache";

fn own() -> Container {
    Container {
        id: "0".repeat(64),
        mounts: action_mounts(),
        running: true,
        ..Container::default()
    }
}

fn job(volume: (&str, &str)) -> Container {
    Container {
        id: "1".repeat(64),
        mounts: job_mounts(volume),
        running: true,
        ..Container::default()
    }
}

/// A container action of the real runner, on a host with an engine.
fn action() -> SiteFacts {
    SiteFacts {
        ephemeral: true,
        cache_root: PathBuf::from(ROOT),
        confinement: Confinement::Container,
        socket: PathBuf::from(SOCKET),
        socket_file: SocketFile::Socket { gid: 105 },
        output_file: OutputFile::Found,
        workspace: Some(Ok(WorkspaceDir {
            path: PathBuf::from("/github/workspace"),
            device: 1,
            inode: 2,
            uid: 1001,
            gid: 1001,
        })),
        engine: Some(Ok(EngineReport {
            api_version: Some("1.41".to_owned()),
            own_container: Some(own()),
            job_container: JobContainer::None,
        })),
        ..SiteFacts::default()
    }
}

pub(super) fn with(change: impl FnOnce(&mut SiteFacts)) -> SiteFacts {
    let mut facts = action();
    change(&mut facts);
    facts
}

fn with_seen(change: impl FnOnce(&mut EngineReport)) -> SiteFacts {
    let mut facts = action();
    if let Some(Ok(seen)) = &mut facts.engine {
        change(seen);
    }
    facts
}

pub(super) fn failing(problem: Problem, change: impl FnOnce(&mut SiteFacts)) -> SiteFacts {
    with(|facts| {
        facts.engine = Some(Err(problem));
        change(facts);
    })
}

pub(super) fn denied() -> Problem {
    Problem::SocketDenied {
        socket: PathBuf::from(SOCKET),
        uid: 0,
    }
}

fn mounted_root() -> Vec<local_cache::site::proc::MountInfo> {
    parse_mountinfo(
        b"1 0 0:1 / / rw - overlay overlay rw,upperdir=/u\n\
          2 1 0:2 /c /tmp/runner-cache rw - ext4 /dev/vda rw\n\
          3 1 0:2 /w /github/workspace rw - ext4 /dev/vda rw\n",
    )
}

#[test]
fn each_environment_has_its_site() {
    for (name, facts, expected) in [
        (
            "a plain process",
            with(|facts| facts.confinement = Confinement::No),
            Site::Here,
        ),
        (
            "a command in a container that stays",
            with(|facts| facts.ephemeral = false),
            Site::Here,
        ),
        (
            "an action with everything mounted",
            with(|facts| {
                facts.mounts = mounted_root();
                facts.paths = vec!["/github/workspace/target".into()];
            }),
            Site::Here,
        ),
        (
            "an action that lacks a path",
            with(|facts| {
                facts.mounts = mounted_root();
                facts.paths = vec!["~/.cargo".into()];
                facts.home = Some("/root".into());
            }),
            Site::Host,
        ),
        (
            "an action with everything mounted, as root",
            with(|facts| {
                facts.mounts = mounted_root();
                facts.paths = vec!["/github/workspace/target".into()];
                facts.runner_uid = Some(1001);
            }),
            Site::Host,
        ),
        ("an action", action(), Site::Host),
        (
            "an action on a GitHub-hosted machine",
            with(|facts| facts.runner = RunnerKind::GithubHosted),
            Site::Host,
        ),
        (
            "an action in a job with a container",
            with_seen(|seen| seen.job_container = JobContainer::Found(job((ROOT, ROOT)))),
            Site::JobContainer,
        ),
        (
            "a volume under another name",
            with_seen(|seen| seen.job_container = JobContainer::Found(job((ROOT, "/cache")))),
            Site::JobContainer,
        ),
        (
            "forced to the host although the job has a container",
            {
                let mut facts =
                    with_seen(|seen| seen.job_container = JobContainer::Found(job((ROOT, ROOT))));
                facts.preference = SitePreference::Host;
                facts
            },
            Site::Host,
        ),
        (
            "forced here",
            with(|facts| facts.preference = SitePreference::Here),
            Site::Here,
        ),
        (
            "a plain process is on the host",
            with(|facts| {
                facts.confinement = Confinement::No;
                facts.preference = SitePreference::Host;
            }),
            Site::Here,
        ),
        (
            "forced into the job's container from the host",
            {
                let mut facts = with_seen(|seen| {
                    seen.own_container = None;
                    seen.job_container = JobContainer::Found(job((ROOT, ROOT)));
                });
                facts.confinement = Confinement::No;
                facts.preference = SitePreference::JobContainer;
                facts
            },
            Site::JobContainer,
        ),
    ] {
        let decision = detect(&facts);
        assert_eq!(decision.site, expected, "{name}: {:?}", decision.refused);
    }
}

#[test]
fn each_obstacle_has_its_message() {
    let socket = || PathBuf::from(SOCKET);
    let remapped = |facts: &mut SiteFacts| facts.uid_map = UidMap::parse("0 165536 65536");
    let read_only = |seen: &mut EngineReport| {
        let mut mounts = job_mounts((ROOT, ROOT)).mounts().to_vec();
        mounts[3].writable = false;
        seen.job_container = JobContainer::Found(Container {
            mounts: MountMap::new(mounts),
            ..job((ROOT, ROOT))
        });
    };
    for (code, facts) in vec![
        ("no-socket", failing(Problem::NoSocket(socket()), |_| ())),
        ("no-socket", with(|facts| facts.engine = None)),
        (
            "kubernetes",
            failing(Problem::NoSocket(socket()), |facts| {
                facts.confinement = Confinement::Pod;
            }),
        ),
        (
            "remote-engine",
            failing(Problem::NoSocket(socket()), |facts| {
                facts.remote_engine = Some("ssh://a".into());
            }),
        ),
        ("userns-remap", failing(denied(), remapped)),
        ("selinux", failing(denied(), |facts| facts.selinux = true)),
        ("socket-denied", failing(denied(), |_| ())),
        (
            "engine-not-listening",
            failing(Problem::NotListening(socket()), |_| ()),
        ),
        (
            "engine-elsewhere",
            failing(Problem::NotListening(socket()), |facts| {
                facts.socket_file = SocketFile::Other;
            }),
        ),
        (
            "engine-elsewhere",
            with(|facts| facts.output_file = OutputFile::Missing),
        ),
        (
            "engine-too-old",
            with_seen(|seen| seen.api_version = Some("1.9".to_owned())),
        ),
        (
            "engine-too-new",
            failing(
                Problem::EngineTooNew("client version 1.1 is too old".into()),
                |_| (),
            ),
        ),
        (
            "own-container-unknown",
            with_seen(|seen| seen.own_container = None),
        ),
        (
            "job-container-gone",
            with_seen(|seen| seen.job_container = JobContainer::NotFound("x".to_owned())),
        ),
        (
            "job-container-gone",
            with_seen(|seen| {
                seen.job_container = JobContainer::Found(Container {
                    running: false,
                    ..job((ROOT, ROOT))
                });
            }),
        ),
        (
            "root-not-in-job-container",
            with_seen(|seen| seen.job_container = JobContainer::Found(job(("/a", "/b")))),
        ),
        ("root-read-only", with_seen(read_only)),
        (
            "no-job-container",
            with(|facts| facts.preference = SitePreference::JobContainer),
        ),
        (
            "hidden",
            with(|facts| facts.cache_root = PathBuf::from("/run/cache")),
        ),
        (
            "hidden",
            with(|facts| facts.paths = vec!["/dev/shm/x".into()]),
        ),
        ("no-workspace", with(|facts| facts.workspace = None)),
    ] {
        let decision = detect(&facts);
        assert_eq!(decision.site, Site::None, "{code}");
        assert_eq!(decision.problem().unwrap().code(), code, "{decision:?}");
    }
}

#[test]
fn the_engine_is_asked_only_if_its_reply_can_change_the_site() {
    for (name, facts, expected) in [
        ("action", action(), true),
        (
            "plain process",
            with(|facts| facts.confinement = Confinement::No),
            false,
        ),
        (
            "command in a container",
            with(|facts| facts.ephemeral = false),
            false,
        ),
        (
            "everything mounted",
            with(|facts| {
                facts.mounts = mounted_root();
                facts.paths = vec!["/github/workspace/target".into()];
            }),
            false,
        ),
        (
            "everything but a home mounted, and no paths known",
            with(|facts| facts.mounts = mounted_root()),
            true,
        ),
        (
            "forced here",
            with(|facts| facts.preference = SitePreference::Here),
            false,
        ),
        (
            "forced into the job from the host",
            with(|facts| {
                facts.confinement = Confinement::No;
                facts.preference = SitePreference::JobContainer;
            }),
            true,
        ),
    ] {
        assert_eq!(needs_engine(&facts), expected, "{name}");
    }
}

#[test]
fn each_notice_is_given_once() {
    let hosted = detect(&with(|facts| facts.runner = RunnerKind::GithubHosted));
    assert_eq!(hosted.notices, [SiteNotice::GithubHosted]);
    let inside = detect(&with(|facts| facts.preference = SitePreference::Here));
    assert_eq!(
        inside.notices,
        [SiteNotice::RootInsideContainer(PathBuf::from(ROOT))]
    );
    let rootless = detect(&with(|facts| {
        facts.uid_map = UidMap::parse("0 1001 1\n1 100000 65536");
        facts.workspace = Some(Ok(WorkspaceDir {
            path: "/github/workspace".into(),
            device: 1,
            inode: 2,
            uid: 0,
            gid: 0,
        }));
    }));
    assert_eq!(rootless.site, Site::Host);
    assert_eq!(
        rootless.notices,
        [SiteNotice::Rootless {
            inside: 0,
            outside: 1001
        }]
    );
}

#[test]
fn every_message_is_one_line_in_lower_case_without_a_full_stop() {
    let path = || PathBuf::from("/some/where");
    let text = || "a text".to_owned();
    let all = [
        Problem::RootNotMounted(path()),
        Problem::PathNotMounted(path()),
        Problem::OtherUser {
            uid: 0,
            owner: 1001,
        },
        Problem::NoSocket(path()),
        Problem::Kubernetes(path()),
        Problem::UsernsRemap(path()),
        Problem::Selinux(path()),
        Problem::SocketDenied {
            socket: path(),
            uid: 7,
        },
        Problem::NotListening(path()),
        Problem::EngineHangs {
            socket: path(),
            action: "list",
            after: Duration::from_secs(5),
        },
        Problem::RemoteEngine(text()),
        Problem::EngineElsewhere(text()),
        Problem::EngineTooOld {
            found: text(),
            needed: "1.38",
        },
        Problem::EngineTooNew(text()),
        Problem::EngineRefused {
            action: "list",
            message: text(),
        },
        Problem::OwnContainerUnknown(path()),
        Problem::NoJobContainer,
        Problem::JobContainerGone(text()),
        Problem::RootNotInJobContainer(path()),
        Problem::RootReadOnlyInJobContainer(path()),
        Problem::Injection(text()),
        Problem::Hidden {
            path: path(),
            hidden: "/run".into(),
        },
        Problem::NoWorkspace {
            path: path(),
            reason: text(),
        },
        Problem::NoReply {
            cause: text(),
            last_line: text(),
        },
        Problem::BadReply(text()),
        Problem::BadRequest(text()),
        Problem::TimedOut(Duration::from_secs(5)),
        Problem::Cancelled(15),
        Problem::Io {
            action: "read",
            path: path(),
            reason: text(),
        },
    ];
    let mut codes = std::collections::BTreeSet::new();
    for problem in &all {
        let line = problem.to_string();
        assert!(!line.contains('\n') && !line.ends_with('.'), "{line}");
        let first = line.chars().next().unwrap();
        assert!(
            !first.is_uppercase() || line.starts_with("DOCKER_HOST"),
            "{line}"
        );
        assert!(
            line.contains([';', ':', '`', '?']),
            "says nothing to do: {line}"
        );
        codes.insert(problem.code());
    }
    assert_eq!(codes.len(), all.len(), "two problems have one code");
}
