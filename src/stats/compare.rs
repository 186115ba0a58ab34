//! Job durations of two groups, compared.
//!
//! Durations of jobs have long tails (a slow network, a queue), so medians are compared, and the
//! interval of their difference is that of a percentile bootstrap: what the medians would be if
//! both groups were drawn anew from themselves, again and again. Nothing has to be drawn for that,
//! as the chance of each value to be the median of such a draw is known (Efron 1979, "Bootstrap
//! methods", section 3), so the same events give the same report.

use serde::Serialize;

/// With fewer runs in a group, an interval would promise more than is known.
pub const MIN_RUNS: usize = 10;
/// What is left out at each end of the interval.
const TAIL: f64 = 0.025;
/// Of groups larger than this, this many of the latest count, to bound the work.
const MOST: usize = 500;

/// What comes of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// Runs without the cache, or after a miss.
    pub without: usize,
    /// Runs with it, or after a hit.
    pub with: usize,
    /// Their median, in milliseconds; none without runs.
    pub without_median: Option<u64>,
    /// The median of the others.
    pub with_median: Option<u64>,
    /// What the cache saves of a job, by the medians; none where there are too few runs to say.
    pub saved: Option<TimeSaved>,
}

/// A difference, in milliseconds; what is above zero is time saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TimeSaved {
    /// The difference of the medians.
    pub median: i64,
    /// With 95 % confidence it is no less than this.
    pub low: i64,
    /// And no more than this.
    pub high: i64,
}

/// Compares durations in milliseconds, the latest last.
pub fn compare(without: &[u64], with: &[u64]) -> Comparison {
    let latest = |all: &[u64]| all[all.len().saturating_sub(MOST)..].to_vec();
    let (mut one, mut other) = (latest(without), latest(with));
    one.sort_unstable();
    other.sort_unstable();
    let mut comparison = Comparison {
        without: without.len(),
        with: with.len(),
        without_median: median(&one),
        with_median: median(&other),
        saved: None,
    };
    if let (Some(slow), Some(fast)) = (comparison.without_median, comparison.with_median)
        && one.len() >= MIN_RUNS
        && other.len() >= MIN_RUNS
    {
        let (low, high) = interval(&one, &other);
        comparison.saved = Some(TimeSaved {
            median: difference(slow, fast),
            low,
            high,
        });
    }
    comparison
}

/// Within which bounds the difference of the medians of two sorted groups lies.
fn interval(one: &[u64], other: &[u64]) -> (i64, i64) {
    let (one, other) = (medians(one), medians(other));
    let mut differences: Vec<(i64, f64)> = Vec::with_capacity(one.len() * other.len());
    for (slow, chance) in &one {
        differences.extend(
            other
                .iter()
                .map(|(fast, of_it)| (difference(*slow, *fast), chance * of_it)),
        );
    }
    differences.sort_unstable_by_key(|(difference, _)| *difference);
    let all: f64 = differences.iter().map(|(_, chance)| chance).sum();
    let mut below = 0.0;
    let (mut low, mut high) = (None, None);
    for (difference, chance) in differences {
        below += chance;
        if below >= all * TAIL {
            low.get_or_insert(difference);
        }
        high = Some(difference);
        if below >= all * (1.0 - TAIL) {
            break;
        }
    }
    (low.unwrap_or_default(), high.unwrap_or_default())
}

/// The values that may be the median of as many draws from a sorted group as it has members (the
/// upper one of two), each with its chance.
///
/// The median is at most the value at a place when more than half of the draws fall on that place
/// or before it, and how many do is binomial. Places further from the middle than six standard
/// deviations have no chance worth counting.
#[expect(clippy::cast_precision_loss, reason = "numbers of runs up to MOST")]
fn medians(group: &[u64]) -> Vec<(u64, f64)> {
    let count = group.len();
    let reach = 3.0 * (count as f64).sqrt();
    let mut found = Vec::new();
    let mut before = 0.0;
    for (place, value) in group.iter().enumerate() {
        if (place as f64 - count as f64 / 2.0).abs() > reach {
            continue;
        }
        let up_to = 1.0 - at_most(count / 2, count, (place + 1) as f64 / count as f64);
        found.push((*value, (up_to - before).max(0.0)));
        before = up_to;
    }
    found
}

/// The chance that of `count` trials, each of which succeeds with the given chance, at most `most`
/// do.
#[expect(clippy::cast_precision_loss, reason = "numbers of runs up to MOST")]
fn at_most(most: usize, count: usize, chance: f64) -> f64 {
    if chance >= 1.0 {
        return if most >= count { 1.0 } else { 0.0 };
    }
    let odds = chance / (1.0 - chance);
    // What is too small to be told from nothing stays nothing: then so many successes are certain.
    let mut exactly = (1.0 - chance).powf(count as f64);
    let mut sum = exactly;
    for successes in 0..most {
        exactly *= (count - successes) as f64 / (successes + 1) as f64 * odds;
        sum += exactly;
    }
    sum.min(1.0)
}

fn difference(one: u64, other: u64) -> i64 {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    signed(one).saturating_sub(signed(other))
}

/// The middle one of sorted numbers, or the mean of the two in the middle.
pub fn median(sorted: &[u64]) -> Option<u64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count.is_multiple_of(2) => Some(sorted[middle - 1].midpoint(sorted[middle])),
        _ => Some(sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clear_difference_is_found_with_its_interval() {
        let without: Vec<u64> = (0..40).map(|n| 600_000 + n * 1000).collect();
        let with: Vec<u64> = (0..40).map(|n| 200_000 + n * 1000).collect();
        let Comparison {
            saved: Some(saved),
            without_median,
            with_median,
            ..
        } = compare(&without, &with)
        else {
            panic!("enough runs");
        };
        assert_eq!(
            (without_median, with_median, saved.median),
            (Some(619_500), Some(219_500), 400_000)
        );
        assert!(
            saved.low > 380_000
                && saved.low < 400_000
                && saved.high > 400_000
                && saved.high < 420_000
        );
        assert_eq!(compare(&without, &with), compare(&without, &with));
    }

    #[test]
    fn groups_that_do_not_differ_have_zero_in_their_interval() {
        let one: Vec<u64> = (0..30).map(|n| 100_000 + (n * 7919) % 30_000).collect();
        let other: Vec<u64> = (0..30).map(|n| 100_000 + (n * 104_729) % 30_000).collect();
        let saved = compare(&one, &other).saved.unwrap();
        assert!(saved.low < 0 && saved.high > 0, "{saved:?}");
    }

    #[test]
    fn the_chances_of_medians_are_those_of_draws() {
        // Of two members the upper median is the second one unless both draws are the first.
        assert_eq!(medians(&[1, 2]), [(1, 0.25), (2, 0.75)]);
        // Of three: at most the first in 7 of 27 draws, at most the second in 20 of 27.
        for ((_, chance), wanted) in medians(&[1, 2, 3]).iter().zip([7.0, 13.0, 7.0]) {
            assert!((chance * 27.0 - wanted).abs() < 1e-9, "{chance}");
        }
        for count in [10, 11, 137, 500] {
            let group: Vec<u64> = (0..count).collect();
            let sum: f64 = medians(&group).iter().map(|(_, chance)| chance).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{count}: {sum}");
        }
    }

    #[test]
    fn too_few_runs_give_medians_and_no_interval() {
        let nine = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let comparison = compare(&nine, &[10; 40]);
        assert_eq!(
            (comparison.without_median, comparison.saved),
            (Some(5), None)
        );
        assert_eq!(compare(&[], &[]), Comparison::default());
        assert_eq!(compare(&[], &[4, 2]).with_median, Some(3));
    }

    #[test]
    fn one_outlier_moves_neither_the_median_nor_the_interval_much() {
        let mut with: Vec<u64> = (0..40).map(|n| 200_000 + n * 1000).collect();
        let without: Vec<u64> = with.iter().map(|time| time + 100_000).collect();
        with[0] = 86_400_000;
        let saved = compare(&without, &with).saved.unwrap();
        assert!(
            (80_000..=120_000).contains(&saved.low) && (80_000..=120_000).contains(&saved.high),
            "{saved:?}"
        );
    }
}
