//! Job durations of two groups, compared.
//!
//! Durations of jobs have long tails (a slow network, a queue), so medians are compared, and the interval of their
//! difference is that of a percentile bootstrap: both groups are drawn anew from themselves [`DRAWS`] times. The draws
//! are the same at every call, so that the same events give the same report.

use serde::Serialize;

/// With fewer runs in a group, an interval would promise more than is known.
pub const ENOUGH: usize = 10;
/// How often the groups are drawn anew.
pub const DRAWS: usize = 2000;
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
    pub saved: Option<Saved>,
}

/// A difference, in milliseconds; what is above zero is time saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Saved {
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
        && one.len() >= ENOUGH
        && other.len() >= ENOUGH
    {
        let mut differences = bootstrap(&one, &other);
        differences.sort_unstable();
        let tail = differences.len() / 40;
        let (low, high) = (differences[tail], differences[differences.len() - 1 - tail]);
        comparison.saved = Some(Saved { median: difference(slow, fast), low, high });
    }
    comparison
}

fn bootstrap(one: &[u64], other: &[u64]) -> Vec<i64> {
    let mut numbers = Numbers(0x6c6f_6361_6c63_6163);
    let mut drawn = Vec::new();
    let mut median_of = |group: &[u64]| {
        drawn.clear();
        drawn.extend(std::iter::repeat_with(|| group[numbers.below(group.len())]).take(group.len()));
        let middle = drawn.len() / 2;
        *drawn.select_nth_unstable(middle).1
    };
    (0..DRAWS).map(|_| difference(median_of(one), median_of(other))).collect()
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

/// Numbers that look random and are always the same (`SplitMix64`, Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let scaled = (u128::from(mixed) * limit as u128) >> 64;
        usize::try_from(scaled).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clear_difference_is_found_with_its_interval() {
        let without: Vec<u64> = (0..40).map(|n| 600_000 + n * 1000).collect();
        let with: Vec<u64> = (0..40).map(|n| 200_000 + n * 1000).collect();
        let Comparison { saved: Some(saved), without_median, with_median, .. } = compare(&without, &with)
        else {
            panic!("enough runs");
        };
        assert_eq!((without_median, with_median, saved.median), (Some(619_500), Some(219_500), 400_000));
        assert!(saved.low > 380_000 && saved.low < 400_000 && saved.high > 400_000 && saved.high < 420_000);
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
    fn too_few_runs_give_medians_and_no_interval() {
        let nine = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let comparison = compare(&nine, &[10; 40]);
        assert_eq!((comparison.without_median, comparison.saved), (Some(5), None));
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
