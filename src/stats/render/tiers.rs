//! What came from the store and what from the remote, as tables of the HTML page (pure).

use crate::fmt::human::{bytes, count, elapsed_ms};
use crate::stats::render::markup::{NUMBER, TEXT, table};
use crate::stats::render::text::percent;
use crate::stats::{Figures, ratio};

/// Lookups by the tier that had the entry, and bytes and time by direction.
pub(super) fn tables(total: &Figures) -> String {
    let found = total.exact + total.prefix;
    let in_store = found.saturating_sub(total.remote_hits);
    let lookups = [
        ("in the store", in_store),
        ("on the remote", total.remote_hits),
        ("nowhere", total.miss),
    ];
    let of_lookups = |(place, number): (&str, u64)| {
        let share = percent(ratio(number, total.lookups()));
        row(place, [count(number), share])
    };
    let restores = total.remote_restore_milliseconds();
    let saves = total
        .remote_save_milliseconds
        .saturating_add(total.remote_background_milliseconds);
    let transfers = [
        ("from the remote", total.received_bytes, restores),
        ("to the remote", total.sent_bytes, saves),
    ];
    let of_transfer = |(direction, size, milliseconds): (&str, u64, u64)| {
        row(direction, [bytes(size), elapsed_ms(milliseconds)])
    };
    let found = [("found", TEXT), ("lookups", NUMBER), ("share", NUMBER)];
    let moved = [("bytes", TEXT), ("size", NUMBER), ("time", NUMBER)];
    let found = table(&found, &lookups.map(of_lookups).concat());
    let moved = table(&moved, &transfers.map(of_transfer).concat());
    format!("{found}\n{moved}\n")
}

fn row(name: &str, figures: [String; 2]) -> String {
    let [first, second] = figures;
    format!(
        "<tr><td>{name}</td><td class=\"number\">{first}</td><td class=\"number\">{second}</td></tr>\n"
    )
}
