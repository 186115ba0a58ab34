//! Parses the manifests, lock files and settings of a workspace.

pub mod build_dir;
pub(crate) mod canonical_toml;
pub mod config;
pub(crate) mod directory_sources;
pub mod facts;
pub mod lockfile;
pub mod manifest;
pub(crate) mod placeholders;
pub mod probe;
pub mod vendored_packages;
pub mod workspace;
