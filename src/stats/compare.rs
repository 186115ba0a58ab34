//! Compares the job durations of two groups.
//!
//! Durations of jobs have long tails (a slow network, a queue), so medians are compared. The
//! confidence interval of their difference is that of a percentile bootstrap: the distribution of
//! the medians if both groups were resampled. It needs no random numbers, because the probability
//! of each value to be the median of a resample is known (Efron 1979, "Bootstrap methods", section
//! 3). So the same events give the same report.

use serde::Serialize;

/// With fewer runs in a group, an interval would be misleading.
pub(crate) const MIN_RUNS: usize = 10;
/// The probability below and above the interval.
const TAIL: f64 = 0.025;
/// At most this many of the latest runs of a group are compared; the work grows with the square.
const MAX_RUNS: usize = 500;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DurationComparison {
    /// Number of runs without the cache, or after a miss.
    pub without: usize,
    /// Number of runs with the cache, or after a hit.
    pub with: usize,
    /// In milliseconds; none without runs.
    pub without_median: Option<u64>,
    /// In milliseconds; none without runs.
    pub with_median: Option<u64>,
    /// The time that the cache saves per job; none with fewer than [`MIN_RUNS`] in a group.
    pub saved: Option<TimeSaved>,
}

/// A difference of medians with its 95 % confidence interval, in milliseconds. Positive numbers are
/// time saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TimeSaved {
    pub median: i64,
    pub low: i64,
    pub high: i64,
}

/// Compares durations in milliseconds, sorted by time.
pub fn compare(without: &[u64], with: &[u64]) -> DurationComparison {
    let (a, b) = (latest_sorted(without), latest_sorted(with));
    let mut comparison = DurationComparison {
        without: without.len(),
        with: with.len(),
        without_median: median(&a),
        with_median: median(&b),
        saved: None,
    };
    if let (Some(slow), Some(fast)) = (comparison.without_median, comparison.with_median)
        && a.len() >= MIN_RUNS
        && b.len() >= MIN_RUNS
    {
        let (low, high) = interval(&a, &b);
        comparison.saved = Some(TimeSaved {
            median: difference(slow, fast),
            low,
            high,
        });
    }
    comparison
}

/// The last [`MAX_RUNS`] durations, sorted by length.
fn latest_sorted(durations: &[u64]) -> Vec<u64> {
    let mut latest = durations[durations.len().saturating_sub(MAX_RUNS)..].to_vec();
    latest.sort_unstable();
    latest
}

/// The confidence interval of the difference of the medians of two sorted groups.
fn interval(a: &[u64], b: &[u64]) -> (i64, i64) {
    let (a, b) = (median_probabilities(a), median_probabilities(b));
    let mut differences: Vec<(i64, f64)> = Vec::with_capacity(a.len() * b.len());
    for (slow, slow_probability) in &a {
        differences.extend(
            b.iter().map(|(fast, probability)| {
                (difference(*slow, *fast), slow_probability * probability)
            }),
        );
    }
    differences.sort_unstable_by_key(|(difference, _)| *difference);
    let total: f64 = differences.iter().map(|(_, probability)| probability).sum();
    let mut cumulative = 0.0;
    let (mut low, mut high) = (None, None);
    for (difference, probability) in differences {
        cumulative += probability;
        if cumulative >= total * TAIL {
            low.get_or_insert(difference);
        }
        high = Some(difference);
        if cumulative >= total * (1.0 - TAIL) {
            break;
        }
    }
    (low.unwrap_or_default(), high.unwrap_or_default())
}

/// The possible medians of a resample of a sorted group (the upper one of two), with their
/// probabilities.
///
/// The median is at most the value at an index if more than half of the draws fall on that index or
/// below it; the number of such draws is binomial. Indexes more than six standard deviations from
/// the middle are skipped: their probability is negligible.
#[expect(clippy::cast_precision_loss, reason = "numbers of runs up to MAX_RUNS")]
fn median_probabilities(group: &[u64]) -> Vec<(u64, f64)> {
    let count = group.len();
    let reach = 3.0 * (count as f64).sqrt();
    let mut found = Vec::new();
    let mut before = 0.0;
    for (index, value) in group.iter().enumerate() {
        if (index as f64 - count as f64 / 2.0).abs() > reach {
            continue;
        }
        let up_to = 1.0 - binomial_cdf(count / 2, count, (index + 1) as f64 / count as f64);
        found.push((*value, (up_to - before).max(0.0)));
        before = up_to;
    }
    found
}

/// The probability of at most `most` successes in `count` trials with the given probability.
#[expect(clippy::cast_precision_loss, reason = "numbers of runs up to MAX_RUNS")]
fn binomial_cdf(most: usize, count: usize, probability: f64) -> f64 {
    if probability >= 1.0 {
        return if most >= count { 1.0 } else { 0.0 };
    }
    let odds = probability / (1.0 - probability);
    // This may underflow to 0; then the sum stays 0, which is right to within rounding.
    let mut exactly = (1.0 - probability).powf(count as f64);
    let mut sum = exactly;
    for successes in 0..most {
        exactly *= (count - successes) as f64 / (successes + 1) as f64 * odds;
        sum += exactly;
    }
    sum.min(1.0)
}

fn difference(a: u64, b: u64) -> i64 {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    signed(a).saturating_sub(signed(b))
}

/// The middle one of sorted numbers, or the mean of the two middle ones.
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
    fn a_clear_difference_has_a_positive_interval() {
        let without: Vec<u64> = (0..40).map(|n| 600_000 + n * 1000).collect();
        let with: Vec<u64> = (0..40).map(|n| 200_000 + n * 1000).collect();
        let DurationComparison {
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
    fn the_interval_of_equal_groups_contains_zero() {
        let one: Vec<u64> = (0..30).map(|n| 100_000 + (n * 7919) % 30_000).collect();
        let other: Vec<u64> = (0..30).map(|n| 100_000 + (n * 104_729) % 30_000).collect();
        let saved = compare(&one, &other).saved.unwrap();
        assert!(saved.low < 0 && saved.high > 0, "{saved:?}");
    }

    #[test]
    fn probabilities_of_medians_are_those_of_resampling() {
        // Of two members the upper median is the second one unless both draws are the first.
        assert_eq!(median_probabilities(&[1, 2]), [(1, 0.25), (2, 0.75)]);
        // Of three: at most the first in 7 of 27 draws, at most the second in 20 of 27.
        for ((_, chance), wanted) in median_probabilities(&[1, 2, 3])
            .iter()
            .zip([7.0, 13.0, 7.0])
        {
            assert!((chance * 27.0 - wanted).abs() < 1e-9, "{chance}");
        }
        for count in [10, 11, 137, 500] {
            let group: Vec<u64> = (0..count).collect();
            let sum: f64 = median_probabilities(&group)
                .iter()
                .map(|(_, chance)| chance)
                .sum();
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
        assert_eq!(compare(&[], &[]), DurationComparison::default());
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
