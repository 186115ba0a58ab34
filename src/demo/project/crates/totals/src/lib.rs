//! Sums over orders, customer by customer.

use std::collections::BTreeMap;

use orders::Order;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What one customer ordered.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// How many things.
    pub count: u64,
    /// What they cost together, in cents.
    pub cents: u64,
}

/// Adds up the orders, by a digest in place of the customer's name.
pub fn by_customer(orders: &[Order]) -> BTreeMap<String, Total> {
    let named: Vec<(String, &Order)> =
        orders.par_iter().map(|order| (pseudonym(&order.customer), order)).collect();
    let mut totals: BTreeMap<String, Total> = BTreeMap::new();
    for (name, order) in named {
        let total = totals.entry(name).or_default();
        total.count += order.count;
        total.cents += order.count * order.cents;
    }
    totals
}

fn pseudonym(name: &str) -> String {
    Sha256::digest(name).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
