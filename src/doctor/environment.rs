//! Checks of Docker, of the site and of cargo.

use std::os::unix::net::UnixStream;
use std::path::Path;

use super::finding::{DoctorOptions, Finding};
use crate::cargo::gather::gather as gather_facts;
use crate::cargo::project::facts::{self as cargo_facts, Compiler};
use crate::fs::{Local, files, group_name, probe};
use crate::site::detect::detect;
use crate::site::facts::{SiteFacts, SiteRequest, SocketFile};
use crate::site::gather::gather;
use crate::site::run::RunOptions;
use crate::site::{Site, SitePreference};

/// The check of the Docker Engine.
pub(super) const ENGINE: &str = "docker";

pub(super) fn findings(options: &DoctorOptions) -> Vec<Finding> {
    let facts = gather(&SiteRequest {
        env: options.env.clone(),
        preference: SitePreference::Auto,
        cache_root: options.cache_root.clone(),
        paths: vec![options.workspace.clone()],
        job_container: None,
        ephemeral: false,
        beside_steps: false,
        engine_timeout: RunOptions::ENGINE_TIMEOUT,
    });
    let context = docker_context(options);
    vec![
        context.map_or_else(|| docker(&facts), |name| other_engine(&facts, &name)),
        site(&facts),
        cargo_home(options),
        toolchain(options),
    ]
}

/// The Docker context that the runner's `docker` command uses, if it is not the default one
/// (docs.docker.com, "Docker contexts": `DOCKER_HOST`, then `DOCKER_CONTEXT`, then `currentContext`).
fn docker_context(options: &DoctorOptions) -> Option<String> {
    if options.env.text("DOCKER_HOST").is_some() {
        return None;
    }
    let directory = options.env.path("DOCKER_CONFIG").map(Path::to_owned);
    let directory = directory.unwrap_or_else(|| options.home.join(".docker"));
    let current = || {
        let config = files::read(&directory.join("config.json")).ok()?;
        let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
        Some(config.get("currentContext")?.as_str()?.to_owned())
    };
    let chosen = options.env.text("DOCKER_CONTEXT").map(str::to_owned);
    let name = chosen.or_else(current)?;
    (!name.is_empty() && name != "default").then_some(name)
}

fn other_engine(facts: &SiteFacts, name: &str) -> Finding {
    Finding::warning(
        ENGINE,
        format!(
            "the docker command uses the context {name}, and the cache uses {}",
            facts.socket.display()
        ),
        "if they are two engines, run `docker context use default` as the user who runs jobs",
    )
}

/// The action is a container, so its runner needs Docker; the command line does not.
fn docker(facts: &SiteFacts) -> Finding {
    const CHECK: &str = ENGINE;
    let socket = facts.socket.display();
    if let Some(host) = &facts.remote_engine {
        return Finding::warning(
            CHECK,
            format!("DOCKER_HOST names another machine: {host}"),
            "an action's container then sees that machine's disk; run the engine on the runner's own machine",
        );
    }
    match facts.socket_file {
        SocketFile::Missing => Finding::warning(
            CHECK,
            format!("there is no {socket}"),
            "the action needs Docker on the runner; the command line works without",
        ),
        SocketFile::Other => Finding::problem(
            CHECK,
            format!("{socket} is not a socket"),
            "remove it and restart Docker, which then creates its socket there",
        ),
        SocketFile::Socket { gid } => match UnixStream::connect(&facts.socket) {
            Ok(_) => Finding::ok(CHECK, format!("{socket} answers")),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Finding::warning(
                CHECK,
                format!(
                    "this user may not connect to {socket}, which belongs to the group {}",
                    group_name(gid)
                ),
                "add the user who runs jobs to that group: sudo usermod -aG docker USER",
            ),
            Err(error) => Finding::warning(
                CHECK,
                format!("{socket} does not answer: {error}"),
                "start Docker: sudo systemctl start docker",
            ),
        },
    }
}

fn site(facts: &SiteFacts) -> Finding {
    const CHECK: &str = "site";
    let decision = detect(facts);
    match (decision.site, decision.problem()) {
        (Site::None, problem) => Finding::problem(
            CHECK,
            problem.map_or_else(|| "no site is available".to_owned(), ToString::to_string),
            "set the input `site`, or mount the cache root into this container",
        ),
        (Site::Here, _) => Finding::ok(CHECK, "the work is done here, in this process"),
        (site, _) => Finding::ok(
            CHECK,
            format!("the action would do its work at another site: {site}"),
        ),
    }
}

fn cargo_home(options: &DoctorOptions) -> Finding {
    const CHECK: &str = "cargo home";
    let home = cargo_facts::KeyRequest::new(
        options.env.clone().into_map(),
        &options.home,
        &options.workspace,
    )
    .cargo_home;
    match files::stat(&home) {
        Ok(None) => Finding::ok(
            CHECK,
            format!("{} does not exist; cargo creates it", home.display()),
        ),
        Ok(Some(_)) => match probe::check_writable(&home) {
            Ok(()) => Finding::ok(CHECK, format!("{} may be written to", home.display())),
            Err(error) => Finding::problem(
                CHECK,
                error.to_string(),
                format!(
                    "let the user who runs jobs own it: sudo chown -R USER {}",
                    home.display()
                ),
            ),
        },
        Err(error) => Finding::unknown(CHECK, &error),
    }
}

fn toolchain(options: &DoctorOptions) -> Finding {
    const CHECK: &str = "toolchain";
    let wanted = cargo_facts::KeyRequest::new(
        options.env.clone().into_map(),
        &options.home,
        &options.workspace,
    );
    let facts = gather_facts(&wanted, &Local::default());
    let project = facts
        .workspaces
        .iter()
        .find_map(|workspace| workspace.project.as_ref());
    let Some(project) = project else {
        return Finding::ok(
            CHECK,
            format!("{} is not a Cargo project", shown(&options.workspace)),
        );
    };
    let note = project.toolchain.note.clone();
    match &project.toolchain.compiler {
        Compiler::Build(_) => Finding::ok(CHECK, note),
        Compiler::Requested(_) | Compiler::Unknown => Finding::warning(
            CHECK,
            note,
            "install the toolchain before the cache step, so that the keys depend on the compiler",
        ),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
