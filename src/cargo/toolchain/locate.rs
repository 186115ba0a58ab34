//! Finding the compiler that cargo will run, without running it.

use std::path::{Path, PathBuf};

use crate::cargo::origin::ComponentOrigin;
use crate::cargo::project::facts::{Compiler, KeyRequest, ProjectFile, Toolchain};
use crate::cargo::project::probe::FileProbe;
use crate::cargo::toolchain::overrides::{
    OverrideLevel, RustupSettings, ToolchainFile, ToolchainSpec, choose, driver, find_installed,
};
use crate::digest::sha256_hex;

/// The project's root or one of its parents, with its toolchain file.
pub(crate) struct AncestorDir {
    pub(crate) directory: PathBuf,
    pub(crate) file: Option<(ProjectFile, Result<ToolchainFile, String>)>,
}

/// A directory and its parents, the nearest first. `rust-toolchain` comes before
/// `rust-toolchain.toml`, as in rustup.
pub(crate) fn ancestor_dirs(root: &Path, probe: &mut FileProbe) -> Vec<AncestorDir> {
    let mut levels = Vec::new();
    for directory in root.ancestors() {
        let names = [("rust-toolchain", true), ("rust-toolchain.toml", false)];
        let file = names.into_iter().find_map(|(name, may_be_a_line)| {
            let file = probe.file(&directory.join(name))?;
            let parsed = ToolchainFile::parse(&file.bytes, may_be_a_line);
            Some((file, parsed))
        });
        levels.push(AncestorDir {
            directory: directory.to_owned(),
            file,
        });
    }
    levels
}

pub(crate) fn find_toolchain(
    request: &KeyRequest,
    levels: &[AncestorDir],
    probe: &mut FileProbe,
) -> Toolchain {
    match first_compiler(request, probe) {
        Some(FirstCompiler::System(rustc)) => system_toolchain(&rustc, probe),
        Some(FirstCompiler::Rustup) => rustup_toolchain(request, levels, probe),
        None if probe
            .stat(&request.rustup_home.join("toolchains"))
            .is_some() =>
        {
            rustup_toolchain(request, levels, probe)
        }
        None => unknown_toolchain(request, levels),
    }
}

enum FirstCompiler {
    /// The proxy that rustup installs.
    Rustup,
    /// Another compiler, by its real path.
    System(PathBuf),
}

/// The first `rustc` in `PATH` or in the default directories.
fn first_compiler(request: &KeyRequest, probe: &mut FileProbe) -> Option<FirstCompiler> {
    let path = request
        .variable("PATH")
        .map(std::env::split_paths)
        .into_iter()
        .flatten();
    let default_dirs = [
        request.cargo_home.join("bin"),
        "/usr/local/bin".into(),
        "/usr/bin".into(),
    ];
    let found = path
        .chain(default_dirs)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| {
            let rustc = directory.join("rustc");
            Some((probe.stat(&rustc)?, rustc))
        });
    let (stat, rustc) = found?;
    let real = probe.canonical(&rustc)?;
    // The proxies are symlinks or hard links to rustup, which is in the same directory.
    let is_rustup = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name == "rustup" || name == "rustup-init")
    };
    let rustup = probe.stat(&rustc.with_file_name("rustup"));
    let is_same =
        rustup.is_some_and(|rustup| (rustup.device, rustup.inode) == (stat.device, stat.inode));
    Some(if is_rustup(&real) || is_same {
        FirstCompiler::Rustup
    } else {
        FirstCompiler::System(real)
    })
}

/// A compiler that rustup does not manage: `PREFIX/bin/rustc`. Its driver is in `PREFIX/lib` or, as
/// on Debian, in a directory for the architecture below it.
fn system_toolchain(rustc: &Path, probe: &mut FileProbe) -> Toolchain {
    let origin = ComponentOrigin::File(rustc.to_owned());
    let prefix = rustc
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    let lib = prefix.join("lib");
    let arch_dirs = probe
        .list(&lib)
        .into_iter()
        .filter(|name| name.contains("-linux-"));
    let mut directories: Vec<PathBuf> = arch_dirs.map(|name| lib.join(name)).collect();
    directories.splice(0..0, [lib.clone(), prefix.join("lib64")]);
    if let Some((build, file)) = directories
        .iter()
        .find_map(|directory| driver(&probe.list(directory)))
    {
        return Toolchain {
            compiler: Compiler::Build(build),
            origin,
            note: format!("no rustup; {file}"),
        };
    }
    // The driver is part of the program, or the program is a script that calls the compiler.
    let compiler = match probe.file(rustc) {
        Some(file) => Compiler::Build(format!("rustc-{}", sha256_hex(&file.bytes))),
        None => Compiler::Unknown,
    };
    Toolchain {
        compiler,
        origin,
        note: "no rustup; identified by the program's contents".to_owned(),
    }
}

fn rustup_toolchain(
    request: &KeyRequest,
    levels: &[AncestorDir],
    probe: &mut FileProbe,
) -> Toolchain {
    let (settings, path) = settings(request, probe);
    let variable = request
        .variable("RUSTUP_TOOLCHAIN")
        .and_then(|name| name.to_str());
    let Some(choice) = choose(
        variable,
        levels.iter().map(override_level),
        &settings,
        &path,
    ) else {
        return Toolchain {
            note: "rustup has no default toolchain".to_owned(),
            ..unknown_toolchain(request, levels)
        };
    };
    let (directory, name) = toolchain_dir(&choice.spec, request, &settings, probe);
    let driver = driver(&probe.list(&directory.join("lib")));
    let (compiler, note) = if let Some((build, _)) = driver {
        (Compiler::Build(build), format!("installed as {name}"))
    } else {
        let note = if probe.stat(&directory).is_some() {
            format!("no compiler found in {}", directory.display())
        } else {
            format!("{name} is not installed")
        };
        // The requested name is the same on every machine, the installed one is not.
        let requested = match choice.spec {
            ToolchainSpec::Name(requested) => requested,
            ToolchainSpec::Directory(_) => name,
        };
        (Compiler::Requested(requested), note)
    };
    Toolchain {
        compiler,
        origin: choice.origin,
        note,
    }
}

/// The directory and the full name of a toolchain, even if it is not installed.
fn toolchain_dir(
    spec: &ToolchainSpec,
    request: &KeyRequest,
    settings: &RustupSettings,
    probe: &mut FileProbe,
) -> (PathBuf, String) {
    let name = match spec {
        ToolchainSpec::Directory(directory) => {
            return (directory.clone(), directory.display().to_string());
        }
        ToolchainSpec::Name(name) => name,
    };
    let toolchains = request.rustup_home.join("toolchains");
    let installed = probe.list(&toolchains);
    let triple = settings.default_host_triple.as_deref();
    let full_name = find_installed(name, &installed, triple, &request.arch).unwrap_or(name);
    (toolchains.join(full_name), full_name.to_owned())
}

fn override_level(ancestor: &AncestorDir) -> OverrideLevel<'_> {
    let file = ancestor.file.as_ref();
    let parsed = file.and_then(|(file, parsed)| Some((file.path.as_path(), parsed.as_ref().ok()?)));
    (&ancestor.directory, parsed)
}

/// rustup's settings, and the file that sets the default toolchain: the user's own, or else the one
/// for all users (rustup book, "Configuration").
fn settings(request: &KeyRequest, probe: &mut FileProbe) -> (RustupSettings, PathBuf) {
    let own = request.rustup_home.join("settings.toml");
    let mut settings = read_settings(&own, probe).unwrap_or_default();
    if settings.default_toolchain.is_none() {
        let fallback = PathBuf::from("/etc/rustup/settings.toml");
        settings.default_toolchain =
            read_settings(&fallback, probe).and_then(|all| all.default_toolchain);
        if settings.default_toolchain.is_some() && settings.overrides.is_empty() {
            return (settings, fallback);
        }
    }
    (settings, own)
}

fn read_settings(path: &Path, probe: &mut FileProbe) -> Option<RustupSettings> {
    let file = probe.file(path)?;
    match RustupSettings::parse(&file.bytes) {
        Ok(settings) => Some(settings),
        Err(reason) => {
            probe.warn(format!(
                "cannot parse {}: {reason}; rustup's default toolchain is unknown",
                path.display()
            ));
            None
        }
    }
}

/// If no compiler is installed yet, the variable or the toolchain file identifies it.
fn unknown_toolchain(request: &KeyRequest, levels: &[AncestorDir]) -> Toolchain {
    let note = "no compiler is installed".to_owned();
    let variable = request
        .variable("RUSTUP_TOOLCHAIN")
        .map(|name| name.to_string_lossy().into_owned());
    if let Some(name) = variable {
        let origin = ComponentOrigin::Variable("RUSTUP_TOOLCHAIN".to_owned());
        return Toolchain {
            compiler: Compiler::Requested(name),
            origin,
            note,
        };
    }
    match levels.iter().find_map(|level| level.file.as_ref()) {
        Some((file, parsed)) => {
            let text = parsed.as_ref().map_or_else(
                |_| sha256_hex(&file.bytes),
                |parsed| parsed.normalized.clone(),
            );
            Toolchain {
                compiler: Compiler::Requested(text),
                origin: ComponentOrigin::File(file.path.clone()),
                note,
            }
        }
        None => Toolchain {
            compiler: Compiler::Unknown,
            origin: ComponentOrigin::NotFound,
            note,
        },
    }
}
