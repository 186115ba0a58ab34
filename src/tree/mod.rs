//! Directory trees: scan them, describe them in a manifest, compare them, and bring a directory
//! into the state that a manifest describes.
//!
//! - [`Tree`] holds directories and leaves in two flat lists
//! - [`Roots`] maps the roots of a tree to paths
//! - [`scan`] reads directories from disk, in parallel
//! - [`manifest`] adds the digests of all contents to a tree, and encodes it
//! - [`stamp`] recognises files that did not change since they matched a manifest (pure)
//! - [`transfer`] finds what a stamp says about the files of another manifest (pure)
//! - [`compare`] finds files whose contents are known from a manifest (pure)
//! - [`plan`] decides how to bring a directory into the state of a manifest (pure)
//! - [`apply`] carries out a plan, in parallel
//! - [`TreeReader`] reads the contents of scanned files

pub mod apply;
pub mod compare;
mod cursor;
pub mod manifest;
mod model;
mod name;
pub mod plan;
mod rare_list;
mod reader;
mod roots;
pub mod scan;
pub(crate) mod stamp;
pub(crate) mod transfer;

pub use model::{
    Content, ContentLocation, DirId, Directory, FileData, Leaf, LeafId, LeafKind, Tree,
};
pub use name::LeafName;
pub use rare_list::RareList;
pub use reader::{DataRuns, ReadOutcome, TreeReader};
pub use roots::{RootPlace, Roots};
