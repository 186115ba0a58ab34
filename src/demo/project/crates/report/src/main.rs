//! Writes what each customer of a shop ordered as JSON.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;

/// Adds up orders, customer by customer
#[derive(Parser)]
struct Options {
    /// A file with one order a line, as JSON
    orders: PathBuf,
    /// Where the report goes
    report: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let start = Instant::now();
    let text = std::fs::read_to_string(&options.orders)
        .with_context(|| format!("cannot read {}", options.orders.display()))?;
    let totals = totals::by_customer(&orders::read(&text)?);
    std::fs::write(&options.report, serde_json::to_vec_pretty(&totals)?)
        .with_context(|| format!("cannot write {}", options.report.display()))?;
    println!("{} customers in {}", totals.len(), humantime::format_duration(start.elapsed()));
    Ok(())
}
