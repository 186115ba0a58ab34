//! All integration tests in one binary: one link, one place for what they share.

mod docker;
mod site;
mod site_engine;
mod site_far;
mod site_identity;
mod site_paths;
