//! Selects a site from facts alone.
//!
//! A site that the user set is used or refused. Otherwise the order is: this process, if it sees
//! everything and its files are kept; the job's container, if the job runs in one, because the
//! steps see the files of that container and not those of the host; the host. The decision lists
//! the reason for each site that was refused.

use std::path::{Path, PathBuf};

use super::facts::{
    Confinement, Container, EngineReport, JobContainer, OutputFile, RunnerKind, SiteFacts,
    SocketFile,
};
use super::helper_limits::{MIN_API_VERSION, hidden_paths};
use super::paths::{MountMap, Translation};
use super::preference::{Site, SitePreference};
use super::problem::{Problem, SiteNotice};
use super::proc::is_mounted;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteDecision {
    pub site: Site,
    /// The sites that can't be used, in the order in which they were checked.
    pub refused: Vec<SiteRefusal>,
    pub notices: Vec<SiteNotice>,
    /// Translates paths of this process to paths of the site.
    pub translation: Translation,
}

/// A site that can't be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRefusal {
    pub site: Site,
    pub problem: Problem,
}

impl SiteDecision {
    /// Why there is no site: the reason for the last one that was checked.
    pub fn problem(&self) -> Option<&Problem> {
        if self.site == Site::None {
            self.refused.last().map(|refusal| &refusal.problem)
        } else {
            None
        }
    }

    fn new(facts: &SiteFacts) -> Self {
        let notices = if facts.runner == RunnerKind::GithubHosted {
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

/// Whether the engine's answer can change the decision.
pub fn needs_engine(facts: &SiteFacts) -> bool {
    match facts.preference {
        SitePreference::Here => false,
        SitePreference::Auto if facts.beside_steps => false,
        SitePreference::JobContainer => true,
        SitePreference::Host => facts.in_container(),
        SitePreference::Auto => {
            facts.in_container() && facts.ephemeral && check_here(facts).is_err()
        }
    }
}

pub fn detect(facts: &SiteFacts) -> SiteDecision {
    let decision = SiteDecision::new(facts);
    match facts.preference {
        SitePreference::Here => select_here(decision, facts),
        SitePreference::Host if !facts.in_container() => select_here(decision, facts),
        SitePreference::Host => try_host(decision, facts),
        SitePreference::JobContainer => try_job_container(decision, facts),
        SitePreference::Auto if facts.beside_steps => select_beside_steps(decision, facts),
        SitePreference::Auto if !facts.in_container() || !facts.ephemeral => {
            select_here(decision, facts)
        }
        SitePreference::Auto => first_that_works(decision, facts),
    }
}

/// This process sees what the steps see. In the job's container that must include the cache root,
/// because the container is removed with the job.
fn select_beside_steps(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    if facts.in_container() && !is_mounted(&facts.mounts, &facts.cache_root) {
        let problem = Problem::RootNotInJobContainer(facts.cache_root.clone());
        decision.refuse(Site::Here, explain_problem(problem, facts));
        return decision;
    }
    decision.select(Site::Here, Translation::Same)
}

fn first_that_works(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    match check_here(facts) {
        Ok(()) => return select_here(decision, facts),
        Err(problem) => decision.refuse(Site::Here, problem),
    }
    let has_job_container = matches!(
        &facts.engine,
        Some(Ok(EngineReport {
            job_container: JobContainer::Found(_) | JobContainer::NotFound(_),
            ..
        }))
    );
    if has_job_container {
        // Not the host, even if this fails: the steps do not see the host's files.
        return try_job_container(decision, facts);
    }
    let decision = try_host(decision, facts);
    match &*decision.refused {
        [here, ..] if decision.site == Site::None => {
            let is_partial = matches!(here.problem, Problem::PathNotMounted(_));
            if is_partial && sees_some_paths(facts) {
                return select_partly(decision, facts);
            }
            decision
        }
        _ => decision,
    }
}

/// Whether a part of the paths is on mounts. Of paths that are not known, some may be.
fn sees_some_paths(facts: &SiteFacts) -> bool {
    facts.paths.is_empty() || facts.paths.iter().any(|path| is_path_mounted(facts, path))
}

/// This process, although some of the paths are its container's own: no other site works.
fn select_partly(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    let own = facts
        .paths
        .iter()
        .filter(|path| !is_path_mounted(facts, path));
    let own: Vec<PathBuf> = own.cloned().collect();
    if !own.is_empty() {
        decision.notices.push(SiteNotice::PathsInsideContainer(own));
    }
    decision.select(Site::Here, Translation::Same)
}

fn is_path_mounted(facts: &SiteFacts, path: &Path) -> bool {
    let expanded = match (path.strip_prefix("~"), &facts.home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    expanded.is_absolute() && is_mounted(&facts.mounts, &expanded)
}

fn select_here(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    if facts.in_container() && !is_mounted(&facts.mounts, &facts.cache_root) {
        decision
            .notices
            .push(SiteNotice::RootInsideContainer(facts.cache_root.clone()));
    }
    decision.select(Site::Here, Translation::Same)
}

/// Whether an ephemeral container has the cache root and all paths of the request on mounts, and
/// creates files that belong to the runner's user.
fn check_here(facts: &SiteFacts) -> Result<(), Problem> {
    if !facts.in_container() {
        return Ok(());
    }
    if !is_mounted(&facts.mounts, &facts.cache_root) {
        return Err(Problem::RootNotMounted(facts.cache_root.clone()));
    }
    if let Some(owner) = facts.runner_uid.filter(|owner| *owner != facts.uid) {
        return Err(Problem::OtherUser {
            uid: facts.uid,
            owner,
        });
    }
    check_paths_mounted(facts)
}

fn check_paths_mounted(facts: &SiteFacts) -> Result<(), Problem> {
    // If the paths are not known, check the home directory. Otherwise a phase without inputs (the
    // post phase of nektos/act) would run at another site than the phases before it.
    let home = [PathBuf::from("~")];
    let paths = if facts.paths.is_empty() {
        &home[..]
    } else {
        &facts.paths
    };
    match paths.iter().find(|path| !is_path_mounted(facts, path)) {
        Some(path) => Err(Problem::PathNotMounted(path.clone())),
        None => Ok(()),
    }
}

fn try_host(mut decision: SiteDecision, facts: &SiteFacts) -> SiteDecision {
    match check_host(facts) {
        Ok(mounts) => {
            if let Some(Ok(workspace)) = &facts.workspace
                && !facts.uid_map.is_identity()
            {
                decision.notices.push(SiteNotice::Rootless {
                    inside: workspace.uid,
                    outside: facts.uid_map.outside(workspace.uid),
                });
            }
            decision.select(Site::Host, Translation::Host(mounts))
        }
        Err(problem) => {
            decision.refuse(Site::Host, problem);
            decision
        }
    }
}

/// The mounts of this container, if a helper on the host can be used.
fn check_host(facts: &SiteFacts) -> Result<MountMap, Problem> {
    let own = own_container(facts, engine_report(facts)?)?;
    if facts.output_file == OutputFile::Missing {
        return Err(Problem::EngineElsewhere(
            "the files for outputs are not where the runner put them".to_owned(),
        ));
    }
    check_workspace(facts, own)?;
    let translation = Translation::Host(own.mounts.clone());
    let hidden_dirs = hidden_paths(own, &facts.mounts);
    for path in std::iter::once(&facts.cache_root).chain(&facts.paths) {
        let path = translation.to_worker(path);
        if let Some(hidden) = hidden_dirs.iter().find(|dir| path.starts_with(dir)) {
            return Err(Problem::Hidden {
                path,
                hidden: hidden.clone(),
            });
        }
    }
    Ok(own.mounts.clone())
}

/// Whether the workspace is on a mount of this container.
fn check_workspace(facts: &SiteFacts, own: &Container) -> Result<(), Problem> {
    let (path, reason) = match &facts.workspace {
        Some(Ok(workspace)) if own.mounts.to_host(&workspace.path).is_some() => return Ok(()),
        Some(Ok(workspace)) => (
            workspace.path.clone(),
            "it is not mounted in this container",
        ),
        Some(Err(problem)) => return Err(problem.clone()),
        None => (PathBuf::from("/github/workspace"), "it was not looked for"),
    };
    Err(Problem::NoWorkspace {
        path,
        reason: reason.to_owned(),
    })
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
    let report = engine_report(facts)?;
    let job = running_job_container(report)?;
    let own = if facts.in_container() {
        own_container(facts, report)?.mounts.clone()
    } else {
        MountMap::default()
    };
    let root = cache_root_in_job(&facts.cache_root, &own, job);
    match root.as_deref().and_then(|root| job.mounts.covering(root)) {
        None => {
            let problem = Problem::RootNotInJobContainer(facts.cache_root.clone());
            Err(explain_problem(problem, facts))
        }
        Some(mount) if !mount.writable => Err(Problem::RootReadOnlyInJobContainer(
            facts.cache_root.clone(),
        )),
        Some(_) => Ok(Translation::Job {
            own,
            job: job.mounts.clone(),
        }),
    }
}

fn running_job_container(report: &EngineReport) -> Result<&Container, Problem> {
    match &report.job_container {
        JobContainer::None => Err(Problem::NoJobContainer),
        JobContainer::NotFound(id) => Err(Problem::JobContainerGone(id.clone())),
        JobContainer::Found(job) if !job.running => Err(Problem::JobContainerGone(job.id.clone())),
        JobContainer::Found(job) => Ok(job),
    }
}

/// The cache root in the job's container: the same path if a volume covers it, otherwise the path
/// at which the host's directory is mounted (`volumes: /tmp/runner-cache:/cache`).
fn cache_root_in_job(root: &Path, own: &MountMap, job: &Container) -> Option<PathBuf> {
    if job.mounts.covering(root).is_some() {
        return Some(root.to_owned());
    }
    let host = own.to_host(root).unwrap_or_else(|| root.to_owned());
    job.mounts.from_host(&host)
}

/// The engine's answer, if the engine is recent enough.
fn engine_report(facts: &SiteFacts) -> Result<&EngineReport, Problem> {
    let report = match &facts.engine {
        Some(Ok(report)) => report,
        Some(Err(problem)) => return Err(explain_problem(problem.clone(), facts)),
        None => {
            return Err(explain_problem(
                Problem::NoSocket(facts.socket.clone()),
                facts,
            ));
        }
    };
    match &report.api_version {
        Some(found) if parse_version(found) < parse_version(MIN_API_VERSION) => {
            Err(Problem::EngineTooOld {
                found: found.clone(),
                needed: MIN_API_VERSION,
            })
        }
        _ => Ok(report),
    }
}

fn own_container<'a>(
    facts: &SiteFacts,
    report: &'a EngineReport,
) -> Result<&'a Container, Problem> {
    report
        .own_container
        .as_ref()
        .ok_or_else(|| Problem::OwnContainerUnknown(facts.socket.clone()))
}

/// Replaces a general problem by the specific one that the facts show.
fn explain_problem(problem: Problem, facts: &SiteFacts) -> Problem {
    match problem {
        Problem::NoSocket(socket) => match &facts.remote_engine {
            Some(host) => Problem::RemoteEngine(host.clone()),
            None if facts.runner == RunnerKind::Forge => Problem::NoSocketOfForge(socket),
            None if facts.confinement == Confinement::Pod => Problem::Kubernetes(socket),
            None => Problem::NoSocket(socket),
        },
        Problem::NotListening(socket) if facts.socket_file == SocketFile::Other => {
            Problem::EngineElsewhere(format!(
                "{} is a directory, made because the engine's machine has no socket there",
                socket.display()
            ))
        }
        Problem::RootNotInJobContainer(root) if facts.runner == RunnerKind::Forge => {
            Problem::RootNotInForgeContainer(root)
        }
        Problem::SocketDenied { socket, .. } if !facts.uid_map.is_identity() => {
            Problem::UsernsRemap(socket)
        }
        Problem::SocketDenied { socket, .. } if facts.selinux => Problem::Selinux(socket),
        other => other,
    }
}

/// The numbers of a version, for comparing. A part that is not a number counts as 0.
fn parse_version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}
