//! Orders of a shop, read from JSON lines.

use serde::{Deserialize, Serialize};

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who ordered.
    pub customer: String,
    /// What was ordered.
    pub article: String,
    /// How many.
    pub count: u64,
    /// The price of one, in cents.
    pub cents: u64,
}

/// A line that is no order.
#[derive(Debug, thiserror::Error)]
#[error("line {number} is no order: {source}")]
pub struct NoOrder {
    number: usize,
    source: serde_json::Error,
}

/// Reads one order a line.
pub fn read(text: &str) -> Result<Vec<Order>, NoOrder> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| serde_json::from_str(line).map_err(|source| NoOrder { number: at + 1, source }))
        .collect()
}
