//! Looks at everything that keys are made of.

use std::path::{Path, PathBuf};

use crate::cargo::key::env_vars as variables;
use crate::cargo::project::facts::{
    CargoFacts, KeyRequest, ProjectFacts, SourceFile, WorkspaceFacts, WorkspaceRequest,
};
use crate::cargo::project::probe::FileProbe;
use crate::cargo::project::workspace::{clean, manifests, workspace_root};
use crate::cargo::project::{build_dir, config};
use crate::cargo::toolchain::locate::{above, toolchain};
use crate::fs::Namespace;

/// Reads what the keys of a project are computed from. What can't be read is in
/// [`CargoFacts::warnings`].
pub fn gather(request: &KeyRequest, namespace: &dyn Namespace) -> CargoFacts {
    let asked = request;
    let mut look = FileProbe::new(namespace);
    let workspaces = asked
        .workspaces
        .iter()
        .map(|workspace| facts_of(asked, workspace, &mut look))
        .collect();
    CargoFacts {
        os: asked.os.clone(),
        arch: asked.arch.clone(),
        job: asked.job.clone(),
        key_inputs: asked.key_inputs.clone(),
        variables: named_variables(asked),
        workspaces,
        warnings: look.warnings,
    }
}

fn named_variables(asked: &KeyRequest) -> std::collections::BTreeMap<String, String> {
    let places = asked.places(Path::new(""));
    let selected = variables::select(&asked.env, &asked.key_inputs.env_vars);
    selected
        .into_iter()
        .map(|(name, value)| (name, places.named(&value)))
        .collect()
}

fn facts_of(
    asked: &KeyRequest,
    workspace: &WorkspaceRequest,
    look: &mut FileProbe,
) -> WorkspaceFacts {
    // Where symlinks lead counts: cargo and rustup look above the directory that they really stand
    // in.
    let project = look
        .real(&workspace.root)
        .and_then(|real| project(asked, &real, look));
    let target = target(asked, workspace, project.as_ref());
    let build = project
        .as_ref()
        .and_then(|project| build(asked, workspace, project, look));
    if project.is_none() {
        look.warn(format!(
            "there is no Cargo project in {}, so it has no cache; name the directory of a Cargo.toml in workspaces",
            workspace.root.display()
        ));
    }
    let build = build.filter(|build| *build != target);
    WorkspaceFacts {
        asked: workspace.clone(),
        target,
        build,
        project,
    }
}

fn project(asked: &KeyRequest, directory: &Path, look: &mut FileProbe) -> Option<ProjectFacts> {
    let root = workspace_root(directory, look);
    let manifests = manifests(&root, look);
    let configs = configs(&root, &asked.cargo_home, look);
    let lock = lock_file(asked, &root, &configs, look);
    if lock.is_none() && manifests.is_empty() {
        return None;
    }
    let levels = above(&root, look);
    let toolchain = toolchain(asked, &levels, look);
    let places = asked.places(&root);
    let toolchain_file = levels
        .into_iter()
        .find_map(|level| level.file)
        .map(|(file, _)| file);
    Some(ProjectFacts {
        root,
        toolchain,
        toolchain_file,
        configs,
        lock,
        manifests,
        places,
    })
}

/// The lock file: where `resolver.lockfile-path` says, since 1.97, if it is there; else in the root
/// of the workspace.
fn lock_file(
    asked: &KeyRequest,
    root: &Path,
    configs: &[SourceFile],
    look: &mut FileProbe,
) -> Option<SourceFile> {
    const NAME: &str = "Cargo.lock";
    let set = match asked.variable("CARGO_RESOLVER_LOCKFILE_PATH") {
        Some(path) => Some(root.join(path)),
        None => {
            configured(configs, "resolver", "lockfile-path").map(|(base, path)| base.join(path))
        }
    };
    // Cargo takes no other name.
    let set = set
        .map(|path| clean(&path))
        .filter(|path| path.ends_with(NAME));
    set.and_then(|path| look.file(&path))
        .or_else(|| look.file(&root.join(NAME)))
}

/// The target directory by cargo's order (Cargo book, `build.target-dir`), after what the workspace
/// asks for.
fn target(
    asked: &KeyRequest,
    workspace: &WorkspaceRequest,
    project: Option<&ProjectFacts>,
) -> PathBuf {
    let root = &workspace.root;
    if let Some(target) = &workspace.target {
        return clean(&root.join(target));
    }
    let variables = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    if let Some(target) = variables.iter().find_map(|name| asked.variable(name)) {
        return clean(&root.join(target));
    }
    let configured =
        project.and_then(|project| configured(&project.configs, "build", "target-dir"));
    let root_of_project = project.map_or(root, |project| &project.root);
    configured.map_or_else(
        || clean(&root_of_project.join("target")),
        |(base, target)| clean(&base.join(target)),
    )
}

/// The directory of intermediate artifacts, where one is set.
fn build(
    asked: &KeyRequest,
    workspace: &WorkspaceRequest,
    project: &ProjectFacts,
    look: &mut FileProbe,
) -> Option<PathBuf> {
    let (base, template) = match asked.variable("CARGO_BUILD_BUILD_DIR") {
        Some(value) => (
            workspace.root.as_path(),
            value.to_string_lossy().into_owned(),
        ),
        None => configured(&project.configs, "build", "build-dir")?,
    };
    let manifest = project.root.join("Cargo.toml");
    let manifest = look.real(&manifest).unwrap_or(manifest);
    let about = build_dir::BuildDirWorkspace {
        root: &project.root,
        manifest: &manifest,
        cargo_home: &asked.cargo_home,
    };
    match build_dir::expand(&template, &about) {
        Ok(path) => Some(clean(&base.join(path))),
        Err(why) => {
            look.warn(format!(
                "build.build-dir is `{template}`, which cargo does not take ({why}), so intermediate artifacts are not \
                 cached; correct it"
            ));
            None
        }
    }
}

/// A path that a configuration file sets, and what it is relative to: the directory that holds
/// `.cargo`.
fn configured<'c>(configs: &'c [SourceFile], of: &str, key: &str) -> Option<(&'c Path, String)> {
    configs.iter().find_map(|file| {
        let base = file.path.parent().and_then(Path::parent)?;
        Some((base, config::path(&file.bytes, of, key)?))
    })
}

/// How deep configuration files may include others, lest they go in circles.
const INCLUDES: usize = 8;

/// The configuration files that cargo reads in a directory: of it and of all above it, then of
/// `CARGO_HOME`. Without `.toml` comes first where there are both (Cargo book, "Hierarchical
/// structure").
fn configs(root: &Path, cargo_home: &Path, look: &mut FileProbe) -> Vec<SourceFile> {
    let directories = root
        .ancestors()
        .map(|above| above.join(".cargo"))
        .chain([cargo_home.to_owned()]);
    let mut found: Vec<SourceFile> = Vec::new();
    for directory in directories {
        let file = ["config", "config.toml"]
            .iter()
            .find_map(|name| look.file(&directory.join(name)));
        if let Some(file) = file {
            include(file, INCLUDES, &mut found, look);
        }
    }
    found
}

fn include(file: SourceFile, depth: usize, found: &mut Vec<SourceFile>, look: &mut FileProbe) {
    if found.iter().any(|other| other.path == file.path) {
        return;
    }
    let directory = file.path.parent().unwrap_or(Path::new("/")).to_owned();
    let included = config::included(&file.bytes);
    found.push(file);
    for name in included.iter().filter(|_| depth > 0) {
        if let Some(file) = look.file(&clean(&directory.join(name))) {
            include(file, depth - 1, found, look);
        }
    }
}
