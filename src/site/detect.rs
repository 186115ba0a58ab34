//! Deciding where to work, from facts alone.
//!
//! Forced sites are taken or refused as they are. Else the order is: here, if this process sees
//! everything and what it writes stays; the job's container, if the job runs in one, because steps
//! see that container's files and not the host's; the host. Each site that was passed over leaves
//! its reason.

use std::path::{Path, PathBuf};

use super::facts::{
    Confinement, Container, EngineReport, JobContainer, OutputFile, SiteFacts, SocketFile,
};
use super::paths::{MountMap, Translation};
use super::problem::{Problem, SiteNotice};
use super::proc::is_mounted;
use super::{Site, SitePreference};

/// The oldest API that knows all that a helper is made with: `MaskedPaths` came last, with Docker
/// 18.09.
pub const MIN_API_VERSION: &str = "1.38";

/// What a helper does not see of the host: other processes and devices, sockets, other containers'
/// files.
pub const HIDDEN_DIRS: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/var/lib/docker"];

/// A site and why not the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDecision {
    /// Where to work.
    pub site: Site,
    /// The sites that were passed over, in the order they were looked at.
    pub refused: Vec<SiteRefusal>,
    /// Worth a line each, although the work goes on.
    pub notices: Vec<SiteNotice>,
    /// How names here become names there.
    pub translation: Translation,
}

/// A site that will not do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRefusal {
    /// Which.
    pub site: Site,
    /// Why not.
    pub problem: Problem,
}

impl SiteDecision {
    /// The reason to show when there is no site: that of the last one tried.
    pub fn problem(&self) -> Option<&Problem> {
        if self.site == Site::None {
            self.refused.last().map(|refusal| &refusal.problem)
        } else {
            None
        }
    }

    fn new(facts: &SiteFacts) -> Self {
        let notices = if facts.github_hosted {
            vec![SiteNotice::GithubHosted]
        } else {
            Vec::new()
        };
        Self {
            site: Site::None,
            refused: Vec::new(),
            notices,
            translation: Translation::Same,
        }
    }

    fn refuse(&mut self, site: Site, problem: Problem) {
        self.refused.push(SiteRefusal { site, problem });
    }

    fn select(mut self, site: Site, translation: Translation) -> Self {
        self.site = site;
        self.translation = translation;
        self
    }
}

/// Whether the decision depends on what the engine says.
pub fn needs_engine(facts: &SiteFacts) -> bool {
    match facts.preference {
        SitePreference::Here => false,
        SitePreference::JobContainer => true,
        SitePreference::Host => facts.in_container(),
        SitePreference::Auto => {
            facts.in_container() && facts.ephemeral && check_here(facts).is_err()
        }
    }
}

/// Decides.
pub fn detect(facts: &SiteFacts) -> SiteDecision {
    let mut decision = SiteDecision::new(facts);
    match facts.preference {
        SitePreference::Here => select_here(decision, facts),
        SitePreference::Host if !facts.in_container() => select_here(decision, facts),
        SitePreference::Host => try_host(decision, facts),
        SitePreference::JobContainer => try_job_container(decision, facts),
        SitePreference::Auto if !facts.in_container() || !facts.ephemeral => {
            select_here(decision, facts)
        }
        SitePreference::Auto => {
            if let Err(problem) = check_here(facts) {
                decision.refuse(Site::Here, problem);
            } else {
                return select_here(decision, facts);
            }
            match &facts.engine {
                Some(Ok(EngineReport {
                    job_container: JobContainer::Found(_) | JobContainer::NotFound(_),
                    ..
                })) => try_job_container(decision, facts),
                _ => try_host(decision, facts),
            }
        }
    }
}

fn select_here(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    if facts.in_container() && !is_mounted(&facts.mounts, &facts.cache_root) {
        decision
            .notices
            .push(SiteNotice::RootInsideContainer(facts.cache_root.clone()));
    }
    decision.select(Site::Here, Translation::Same)
}

/// Whether a container that is thrown away sees the cache root and every path of the request on
/// mounts, and makes files that belong to the runner's user.
fn check_here(facts: &SiteFacts) -> Result<(), Problem> {
    if !facts.in_container() {
        return Ok(());
    }
    if !is_mounted(&facts.mounts, &facts.cache_root) {
        return Err(Problem::RootNotMounted(facts.cache_root.clone()));
    }
    if let Some(owner) = facts.workspace_owner.filter(|owner| *owner != facts.uid) {
        return Err(Problem::OtherUser {
            uid: facts.uid,
            owner,
        });
    }
    // Where it is not known what the work touches, the home stands for it: else a phase without
    // inputs (nektos/act's post) would work at another site than those before it.
    let unknown = [PathBuf::from("~")];
    let paths = if facts.paths.is_empty() {
        &unknown[..]
    } else {
        &facts.paths
    };
    for path in paths {
        let place = match (path.strip_prefix("~"), &facts.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.clone(),
        };
        if !place.is_absolute() || !is_mounted(&facts.mounts, &place) {
            return Err(Problem::PathNotMounted(path.clone()));
        }
    }
    Ok(())
}

fn try_host(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    match check_host(facts) {
        Ok(mapping) => {
            if let Some(Ok(workspace)) = &facts.workspace
                && !facts.uid_map.is_identity()
            {
                let outside = facts.uid_map.outside(workspace.uid);
                decision.notices.push(SiteNotice::Rootless {
                    inside: workspace.uid,
                    outside,
                });
            }
            decision.select(Site::Host, Translation::Host(mapping))
        }
        Err(problem) => {
            decision.refuse(Site::Host, problem);
            decision
        }
    }
}

/// The mounts to translate by, if a helper on the host will do.
fn check_host(facts: &SiteFacts) -> Result<MountMap, Problem> {
    let own = own_container(facts, engine_report(facts)?)?;
    if facts.output_file == OutputFile::Missing {
        return Err(Problem::EngineElsewhere(
            "the files for outputs are not where the runner put them".to_owned(),
        ));
    }
    match &facts.workspace {
        Some(Ok(workspace)) if own.mounts.to_host(&workspace.path).is_some() => {}
        Some(Ok(workspace)) => {
            let reason = "it is not mounted in this container".to_owned();
            return Err(Problem::NoWorkspace {
                path: workspace.path.clone(),
                reason,
            });
        }
        Some(Err(problem)) => return Err(problem.clone()),
        None => {
            let reason = "it was not looked for".to_owned();
            return Err(Problem::NoWorkspace {
                path: PathBuf::from("/github/workspace"),
                reason,
            });
        }
    }
    let translation = Translation::Host(own.mounts.clone());
    for path in std::iter::once(&facts.cache_root).chain(&facts.paths) {
        let path = translation.to_worker(path);
        if let Some(hidden) = HIDDEN_DIRS.iter().find(|hidden| path.starts_with(hidden)) {
            return Err(Problem::Hidden {
                path,
                hidden: PathBuf::from(hidden),
            });
        }
    }
    Ok(own.mounts.clone())
}

fn try_job_container(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    match check_job_container(facts) {
        Ok(translation) => decision.select(Site::JobContainer, translation),
        Err(problem) => {
            decision.refuse(Site::JobContainer, problem);
            decision
        }
    }
}

fn check_job_container(facts: &SiteFacts) -> Result<Translation, Problem> {
    let seen = engine_report(facts)?;
    let job = match &seen.job_container {
        JobContainer::None => return Err(Problem::NoJobContainer),
        JobContainer::NotFound(id) => return Err(Problem::JobContainerGone(id.clone())),
        JobContainer::Found(job) if !job.running => {
            return Err(Problem::JobContainerGone(job.id.clone()));
        }
        JobContainer::Found(job) => job,
    };
    let own = if facts.in_container() {
        own_container(facts, seen)?.mounts.clone()
    } else {
        MountMap::default()
    };
    let root = cache_root_in_job(&facts.cache_root, &own, job);
    match root.as_deref().and_then(|root| job.mounts.covering(root)) {
        None => Err(Problem::RootNotInJobContainer(facts.cache_root.clone())),
        Some(mount) if !mount.writable => Err(Problem::RootReadOnlyInJobContainer(
            facts.cache_root.clone(),
        )),
        Some(_) => Ok(Translation::Job {
            own,
            job: job.mounts.clone(),
        }),
    }
}

/// The cache root as the job's container has it: by its own name if a volume covers that, else what
/// the host's directory of that name is called there (`volumes: /tmp/runner-cache:/cache`).
fn cache_root_in_job(root: &Path, own: &MountMap, job: &Container) -> Option<PathBuf> {
    if job.mounts.covering(root).is_some() {
        return Some(root.to_owned());
    }
    let host = own.to_host(root).unwrap_or_else(|| root.to_owned());
    job.mounts.from_host(&host)
}

/// The engine's answer, if it is one to build on.
fn engine_report(facts: &SiteFacts) -> Result<&EngineReport, Problem> {
    let seen = match &facts.engine {
        Some(Ok(seen)) => seen,
        Some(Err(problem)) => return Err(explain_problem(problem.clone(), facts)),
        None => {
            return Err(explain_problem(
                Problem::NoSocket(facts.socket.clone()),
                facts,
            ));
        }
    };
    match &seen.api_version {
        Some(found) if parse_version(found) < parse_version(MIN_API_VERSION) => {
            Err(Problem::EngineTooOld {
                found: found.clone(),
                needed: MIN_API_VERSION,
            })
        }
        _ => Ok(seen),
    }
}

fn own_container<'a>(facts: &SiteFacts, seen: &'a EngineReport) -> Result<&'a Container, Problem> {
    seen.own_container
        .as_ref()
        .ok_or_else(|| Problem::OwnContainerUnknown(facts.socket.clone()))
}

/// What the bare failure of a call means in these surroundings.
fn explain_problem(problem: Problem, facts: &SiteFacts) -> Problem {
    match problem {
        Problem::NoSocket(socket) => match &facts.remote_engine {
            Some(host) => Problem::RemoteEngine(host.clone()),
            None if facts.confinement == Confinement::Pod => Problem::Kubernetes(socket),
            None => Problem::NoSocket(socket),
        },
        Problem::NotListening(socket) if facts.socket_file == SocketFile::Other => {
            Problem::EngineElsewhere(format!(
                "{} is a directory, made because the engine's machine has no socket there",
                socket.display()
            ))
        }
        Problem::SocketDenied { socket, .. } if !facts.uid_map.is_identity() => {
            Problem::UsernsRemap(socket)
        }
        Problem::SocketDenied { socket, .. } if facts.selinux => Problem::Selinux(socket),
        other => other,
    }
}

/// The numbers of a version, for comparing; what is no number counts as 0.
fn parse_version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}
