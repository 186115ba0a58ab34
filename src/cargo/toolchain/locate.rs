//! Finds the compiler that cargo will run, without running it.

use std::path::{Path, PathBuf};

use crate::cargo::key::component::{ComponentOrigin, sha256};
use crate::cargo::project::facts::{Compiler, KeyRequest, SourceFile, Toolchain};
use crate::cargo::project::probe::FileProbe;
use crate::cargo::toolchain::overrides::{
    RustupSettings, ToolchainFile, ToolchainSpec, choose, driver, installed_as,
};

/// A directory at or above a project's root, with the toolchain file in it.
pub(crate) struct AncestorDir {
    pub(crate) directory: PathBuf,
    pub(crate) file: Option<(SourceFile, Result<ToolchainFile, String>)>,
}

/// The toolchain files at and above a directory, the nearest first; `rust-toolchain` comes before
/// `rust-toolchain.toml`, as in rustup.
pub(crate) fn above(root: &Path, look: &mut FileProbe) -> Vec<AncestorDir> {
    let mut levels = Vec::new();
    for directory in root.ancestors() {
        let names = [("rust-toolchain", true), ("rust-toolchain.toml", false)];
        let file = names.into_iter().find_map(|(name, may_be_a_line)| {
            let file = look.file(&directory.join(name))?;
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

/// The toolchain of a project.
pub(crate) fn toolchain(
    asked: &KeyRequest,
    levels: &[AncestorDir],
    look: &mut FileProbe,
) -> Toolchain {
    match first_compiler(asked, look) {
        Some(First::System(rustc)) => system(&rustc, look),
        Some(First::Rustup) => of_rustup(asked, levels, look),
        None if look.stat(&asked.rustup_home.join("toolchains")).is_some() => {
            of_rustup(asked, levels, look)
        }
        None => unseen(asked, levels),
    }
}

enum First {
    /// rustup's proxy.
    Rustup,
    /// Another one, its real path.
    System(PathBuf),
}

/// The first `rustc` in `PATH`, or else where it usually is.
fn first_compiler(asked: &KeyRequest, look: &mut FileProbe) -> Option<First> {
    let path = asked
        .variable("PATH")
        .map(std::env::split_paths)
        .into_iter()
        .flatten();
    let usual = [
        asked.cargo_home.join("bin"),
        "/usr/local/bin".into(),
        "/usr/bin".into(),
    ];
    let found = path
        .chain(usual)
        .filter(|directory| directory.is_absolute())
        .find_map(|directory| {
            let rustc = directory.join("rustc");
            Some((look.stat(&rustc)?, rustc))
        });
    let (stat, rustc) = found?;
    let real = look.real(&rustc)?;
    // The proxies are links, symbolic or hard, to rustup, which stands beside them.
    let is_rustup = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name == "rustup" || name == "rustup-init")
    };
    let beside = look.stat(&rustc.with_file_name("rustup"));
    let is_same =
        beside.is_some_and(|other| (other.device, other.inode) == (stat.device, stat.inode));
    Some(if is_rustup(&real) || is_same {
        First::Rustup
    } else {
        First::System(real)
    })
}

/// A compiler that rustup does not manage: `PREFIX/bin/rustc`, whose driver is in `PREFIX/lib` or,
/// as on Debian, a directory of the architecture's in it.
fn system(rustc: &Path, look: &mut FileProbe) -> Toolchain {
    let origin = ComponentOrigin::File(rustc.to_owned());
    let prefix = rustc
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    let lib = prefix.join("lib");
    let of_architectures = look
        .names(&lib)
        .into_iter()
        .filter(|name| name.contains("-linux-"));
    let mut directories: Vec<PathBuf> = of_architectures.map(|name| lib.join(name)).collect();
    directories.splice(0..0, [lib.clone(), prefix.join("lib64")]);
    if let Some((build, file)) = directories
        .iter()
        .find_map(|directory| driver(&look.names(directory)))
    {
        return Toolchain {
            compiler: Compiler::Build(build),
            origin,
            note: format!("no rustup; {file}"),
        };
    }
    // The driver is inside it, or it is a script that knows where the compiler is.
    let compiler = match look.file(rustc) {
        Some(file) => Compiler::Build(format!("rustc-{}", sha256(&file.bytes))),
        None => Compiler::Unknown,
    };
    Toolchain {
        compiler,
        origin,
        note: "no rustup; by the program's contents".to_owned(),
    }
}

fn of_rustup(asked: &KeyRequest, levels: &[AncestorDir], look: &mut FileProbe) -> Toolchain {
    let (settings, path) = settings(asked, look);
    let variable = asked
        .variable("RUSTUP_TOOLCHAIN")
        .and_then(|name| name.to_str());
    let Some(choice) = choose(variable, levels.iter().map(level), &settings, &path) else {
        return Toolchain {
            note: "rustup has no default toolchain".to_owned(),
            ..unseen(asked, levels)
        };
    };
    let toolchains = asked.rustup_home.join("toolchains");
    let (directory, name) = match &choice.wanted {
        ToolchainSpec::Directory(directory) => (directory.clone(), directory.display().to_string()),
        ToolchainSpec::Name(name) => {
            let installed = look.names(&toolchains);
            match installed_as(
                name,
                &installed,
                settings.default_host_triple.as_deref(),
                &asked.arch,
            ) {
                Some(installed) => (toolchains.join(installed), installed.to_owned()),
                None => (toolchains.join(name), name.clone()),
            }
        }
    };
    let origin = choice.origin;
    if let Some((build, _)) = driver(&look.names(&directory.join("lib"))) {
        return Toolchain {
            compiler: Compiler::Build(build),
            origin,
            note: format!("installed as {name}"),
        };
    }
    let note = if look.stat(&directory).is_some() {
        format!("no compiler to be seen in {}", directory.display())
    } else {
        format!("{name} is not installed")
    };
    // As it is said, which is the same on every machine.
    let said = match choice.wanted {
        ToolchainSpec::Name(said) => said,
        ToolchainSpec::Directory(_) => name,
    };
    Toolchain {
        compiler: Compiler::Said(said),
        origin,
        note,
    }
}

fn level(above: &AncestorDir) -> crate::cargo::toolchain::overrides::OverrideLevel<'_> {
    let file = above.file.as_ref();
    let parsed = file.and_then(|(file, parsed)| Some((file.path.as_path(), parsed.as_ref().ok()?)));
    (&above.directory, parsed)
}

/// rustup's settings; the default may also stand in a file for all users (rustup book,
/// "Configuration").
fn settings(asked: &KeyRequest, look: &mut FileProbe) -> (RustupSettings, PathBuf) {
    let own = asked.rustup_home.join("settings.toml");
    let mut settings = read_settings(&own, look).unwrap_or_default();
    if settings.default_toolchain.is_none() {
        let fallback = PathBuf::from("/etc/rustup/settings.toml");
        settings.default_toolchain =
            read_settings(&fallback, look).and_then(|all| all.default_toolchain);
        if settings.default_toolchain.is_some() && settings.overrides.is_empty() {
            return (settings, fallback);
        }
    }
    (settings, own)
}

fn read_settings(path: &Path, look: &mut FileProbe) -> Option<RustupSettings> {
    let file = look.file(path)?;
    match RustupSettings::parse(&file.bytes) {
        Ok(settings) => Some(settings),
        Err(reason) => {
            look.warn(format!(
                "cannot understand {}: {reason}; rustup's default is not known",
                path.display()
            ));
            None
        }
    }
}

/// No compiler is to be seen: what the variable or the file says stands for it.
fn unseen(asked: &KeyRequest, levels: &[AncestorDir]) -> Toolchain {
    let note = "no compiler is installed".to_owned();
    let variable = asked
        .variable("RUSTUP_TOOLCHAIN")
        .map(|name| name.to_string_lossy().into_owned());
    if let Some(name) = variable {
        let origin = ComponentOrigin::Variable("RUSTUP_TOOLCHAIN".to_owned());
        return Toolchain {
            compiler: Compiler::Said(name),
            origin,
            note,
        };
    }
    match levels.iter().find_map(|level| level.file.as_ref()) {
        Some((file, parsed)) => {
            let text = parsed
                .as_ref()
                .map_or_else(|_| sha256(&file.bytes), |parsed| parsed.text.clone());
            Toolchain {
                compiler: Compiler::Said(text),
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
