//! Workflows, examples and documents, as those find them who follow them.

mod files;
mod links;
mod lint;
mod refusal;
