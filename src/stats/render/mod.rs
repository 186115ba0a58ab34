//! Statistics as text, as a page and for Prometheus.

mod charts;
pub mod html;
pub mod markup;
pub mod prometheus;
pub mod text;
