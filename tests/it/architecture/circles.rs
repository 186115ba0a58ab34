//! Circles in a graph of names.

use std::collections::{BTreeMap, BTreeSet};

/// The groups of names that reach each other, each in order.
pub(super) fn circles<'n>(edges: &BTreeMap<&'n str, BTreeSet<&'n str>>) -> Vec<BTreeSet<&'n str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|&name| (name, reachable(edges, name)))
        .collect();
    let mut circles = BTreeSet::new();
    for (&name, reached) in &reach {
        let circle: BTreeSet<&str> = reached
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(name)))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reachable<'n>(
    edges: &BTreeMap<&'n str, BTreeSet<&'n str>>,
    start: &'n str,
) -> BTreeSet<&'n str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(name) = next.pop() {
        for &target in edges.get(name).into_iter().flatten() {
            if reached.insert(target) {
                next.push(target);
            }
        }
    }
    reached
}
