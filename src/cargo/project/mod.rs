//! Parses the manifests, lock files and settings of a workspace.

pub mod build_dir;
pub mod canonical_toml;
pub mod config;
pub mod facts;
pub mod lockfile;
pub mod manifest;
pub mod placeholders;
pub mod probe;
pub mod workspace;
