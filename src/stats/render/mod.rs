//! Prints statistics as text, as an HTML page and for Prometheus.

mod charts;
pub mod html;
pub(crate) mod markup;
pub mod prometheus;
pub mod text;
mod tiers;
mod timeline;
