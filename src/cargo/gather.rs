//! Reads everything that keys are computed from.

use std::path::{Path, PathBuf};

use crate::cargo::key::env_vars;
use crate::cargo::project::facts::{
    CargoFacts, KeyRequest, ProjectFacts, ProjectFile, WorkspaceFacts, WorkspaceRequest,
};
use crate::cargo::project::probe::FileProbe;
use crate::cargo::project::workspace::{manifests, normalize_path, workspace_root};
use crate::cargo::project::{build_dir, config, directory_sources};
use crate::cargo::toolchain::locate::{ancestor_dirs, find_toolchain};
use crate::fs::Namespace;

/// Files that can't be read are reported in [`CargoFacts::warnings`].
pub fn gather(request: &KeyRequest, namespace: &dyn Namespace) -> CargoFacts {
    let mut probe = FileProbe::new(namespace);
    let workspaces = request
        .workspaces
        .iter()
        .map(|workspace| workspace_facts(request, workspace, &mut probe))
        .collect();
    CargoFacts {
        os: request.os.clone(),
        arch: request.arch.clone(),
        job: request.job.clone(),
        key_inputs: request.key_inputs.clone(),
        variables: selected_variables(request),
        workspaces,
        warnings: probe.warnings,
    }
}

fn selected_variables(request: &KeyRequest) -> std::collections::BTreeMap<String, String> {
    let placeholders = request.placeholders(Path::new(""));
    let selected = env_vars::select(&request.env, &request.key_inputs.env_vars);
    selected
        .into_iter()
        .map(|(name, value)| (name, placeholders.replace_in(&value)))
        .collect()
}

fn workspace_facts(
    request: &KeyRequest,
    workspace: &WorkspaceRequest,
    probe: &mut FileProbe,
) -> WorkspaceFacts {
    // Cargo and rustup search upwards from the real directory, not from a symlink to it.
    let project = probe
        .canonical(&workspace.root)
        .and_then(|real| project(request, &real, probe));
    let target = target(request, workspace, project.as_ref());
    let build_dir = project
        .as_ref()
        .and_then(|project| build_dir(request, workspace, project, probe));
    if project.is_none() {
        probe.warn(format!(
            "there is no Cargo project in {}, so it has no cache; name the directory of a Cargo.toml in workspaces",
            workspace.root.display()
        ));
    }
    WorkspaceFacts {
        request: workspace.clone(),
        build_dir: build_dir.filter(|build_dir| *build_dir != target),
        target,
        project,
    }
}

fn project(request: &KeyRequest, directory: &Path, probe: &mut FileProbe) -> Option<ProjectFacts> {
    let root = workspace_root(directory, probe);
    let manifests = manifests(&root, probe);
    let configs = configs(&root, &request.cargo_home, probe);
    let lock = lock_file(request, &root, &configs, probe);
    if lock.is_none() && manifests.is_empty() {
        return None;
    }
    let vendored = directory_sources::directories(&configs);
    let vendored = vendored
        .iter()
        .filter_map(|directory| probe.vendored_packages(directory))
        .collect();
    let levels = ancestor_dirs(&root, probe);
    let toolchain = find_toolchain(request, &levels, probe);
    let placeholders = request.placeholders(&root);
    let toolchain_file = levels
        .into_iter()
        .find_map(|level| level.file)
        .map(|(file, _)| file);
    Some(ProjectFacts {
        root,
        toolchain,
        toolchain_file,
        configs,
        vendored,
        lock,
        manifests,
        placeholders,
    })
}

/// The lock file that `resolver.lockfile-path` names (since cargo 1.97), if it exists, or else the
/// one in the root of the workspace.
fn lock_file(
    request: &KeyRequest,
    root: &Path,
    configs: &[ProjectFile],
    probe: &mut FileProbe,
) -> Option<ProjectFile> {
    const NAME: &str = "Cargo.lock";
    let configured = match request.variable("CARGO_RESOLVER_LOCKFILE_PATH") {
        Some(path) => Some(root.join(path)),
        None => {
            configured(configs, "resolver", "lockfile-path").map(|(base, path)| base.join(path))
        }
    };
    // Cargo accepts no other name.
    let configured = configured
        .map(|path| normalize_path(&path))
        .filter(|path| path.ends_with(NAME));
    configured
        .and_then(|path| probe.file(&path))
        .or_else(|| probe.file(&root.join(NAME)))
}

/// The target directory of the request, or else the one that cargo uses (Cargo book,
/// `build.target-dir`).
fn target(
    request: &KeyRequest,
    workspace: &WorkspaceRequest,
    project: Option<&ProjectFacts>,
) -> PathBuf {
    let root = &workspace.root;
    if let Some(target) = &workspace.target {
        return normalize_path(&root.join(target));
    }
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    if let Some(target) = variables.iter().find_map(|name| request.variable(name)) {
        return normalize_path(&root.join(target));
    }
    let configured =
        project.and_then(|project| configured(&project.configs, "build", "target-dir"));
    let root_of_project = project.map_or(root, |project| &project.root);
    configured.map_or_else(
        || normalize_path(&root_of_project.join("target")),
        |(base, target)| normalize_path(&base.join(target)),
    )
}

/// The directory of intermediate artifacts, if one is set.
fn build_dir(
    request: &KeyRequest,
    workspace: &WorkspaceRequest,
    project: &ProjectFacts,
    probe: &mut FileProbe,
) -> Option<PathBuf> {
    let (base, template) = match request.variable("CARGO_BUILD_BUILD_DIR") {
        Some(value) => (
            workspace.root.as_path(),
            value.to_string_lossy().into_owned(),
        ),
        None => configured(&project.configs, "build", "build-dir")?,
    };
    let manifest = project.root.join("Cargo.toml");
    let manifest = probe.canonical(&manifest).unwrap_or(manifest);
    let variables = build_dir::BuildDirWorkspace {
        root: &project.root,
        manifest: &manifest,
        cargo_home: &request.cargo_home,
    };
    match build_dir::expand(&template, &variables) {
        Ok(path) => Some(normalize_path(&base.join(path))),
        Err(reason) => {
            probe.warn(format!(
                "build.build-dir is `{template}`, which cargo rejects ({reason}), so intermediate artifacts are not \
                 cached; correct it"
            ));
            None
        }
    }
}

/// A path from the configuration files, and the directory that it is relative to: the parent of
/// `.cargo`.
fn configured<'c>(
    configs: &'c [ProjectFile],
    table: &str,
    key: &str,
) -> Option<(&'c Path, String)> {
    configs.iter().find_map(|file| {
        let base = file.path.parent().and_then(Path::parent)?;
        Some((base, config::path(&file.bytes, table, key)?))
    })
}

/// The maximum depth of included configuration files. It ends cycles.
const MAX_INCLUDE_DEPTH: usize = 8;

/// The configuration files that cargo reads in a directory: its own, those of its parents, then
/// that of `CARGO_HOME`. `config` takes precedence over `config.toml` (Cargo book, "Hierarchical
/// structure").
fn configs(root: &Path, cargo_home: &Path, probe: &mut FileProbe) -> Vec<ProjectFile> {
    let directories = root
        .ancestors()
        .map(|above| above.join(".cargo"))
        .chain([cargo_home.to_owned()]);
    let mut found: Vec<ProjectFile> = Vec::new();
    for directory in directories {
        let file = ["config", "config.toml"]
            .iter()
            .find_map(|name| probe.file(&directory.join(name)));
        if let Some(file) = file {
            include(file, MAX_INCLUDE_DEPTH, &mut found, probe);
        }
    }
    found
}

fn include(file: ProjectFile, depth: usize, found: &mut Vec<ProjectFile>, probe: &mut FileProbe) {
    if found.iter().any(|known| known.path == file.path) {
        return;
    }
    let directory = file.path.parent().unwrap_or(Path::new("/")).to_owned();
    let included = config::included(&file.bytes);
    found.push(file);
    for name in included.iter().filter(|_| depth > 0) {
        if let Some(file) = probe.file(&normalize_path(&directory.join(name))) {
            include(file, depth - 1, found, probe);
        }
    }
}
