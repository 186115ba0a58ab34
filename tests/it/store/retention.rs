//! Which entries are retained, and in which order the others are evicted: tables with a fixed
//! clock.

use std::collections::HashMap;
use std::time::Duration;

use local_cache::fs::Timestamp;
use local_cache::store::retention::{
    EvictReason, MAX_FAMILIES, RetentionCandidate, RetentionPolicy, decide, eviction_order, family,
    is_default_branch,
};
use local_cache::store::{CacheKind, EntryGroup};

const DAY: u64 = 86_400;
const NOW: Timestamp = Timestamp {
    seconds: 1_700_000_000,
    nanoseconds: 0,
};

fn group(scope: &str, git_ref: &str, kind: CacheKind, path: &str) -> EntryGroup {
    EntryGroup {
        scope: scope.to_owned(),
        git_ref: git_ref.to_owned(),
        kind,
        paths: vec![path.to_owned()],
    }
}

fn of(group: &EntryGroup, key: &str, hours_ago: i64, needs: &[usize]) -> RetentionCandidate {
    RetentionCandidate {
        id: group.entry_id(key),
        kind: group.kind,
        family: family(key),
        is_default_branch: is_default_branch(group, &[]),
        last_used: Timestamp {
            seconds: NOW.seconds - hours_ago * 3600,
            nanoseconds: 0,
        },
        needs: needs.to_vec(),
    }
}

/// An entry of paths on a branch other than the default one, used some hours ago.
fn entry(path: &str, key: &str, hours_ago: i64, needs: &[usize]) -> RetentionCandidate {
    of(
        &group("acme/widget", "refs/heads/topic", CacheKind::Path, path),
        key,
        hours_ago,
        needs,
    )
}

fn keep(kind: CacheKind, count: usize) -> RetentionPolicy {
    RetentionPolicy {
        keep: HashMap::from([(kind, count)]),
        ..RetentionPolicy::default()
    }
}

fn groups(candidate: &RetentionCandidate) -> Vec<String> {
    vec![candidate.id.group().to_owned()]
}

/// The evicted candidates, by number, with the reasons.
fn dropped(
    candidates: &[RetentionCandidate],
    sizes: &[u64],
    policy: &RetentionPolicy,
) -> Vec<(usize, EvictReason)> {
    let decisions = decide(candidates, sizes, policy, NOW);
    assert_eq!(decisions.len(), candidates.len());
    let mut found: Vec<_> = decisions
        .iter()
        .filter_map(|decision| {
            let at = candidates
                .iter()
                .position(|candidate| candidate.id == decision.id)?;
            Some((at, decision.evict?))
        })
        .collect();
    found.sort_by_key(|(at, _)| *at);
    found
}

fn turns(candidates: &[RetentionCandidate], policy: &RetentionPolicy) -> Vec<usize> {
    eviction_order(candidates, policy, NOW)
        .iter()
        .map(|going| going.candidate)
        .collect()
}

#[test]
fn a_family_is_a_key_without_digests_dates_and_numbers_of_runs() {
    let cases = [
        ("", ""),
        ("linux-stable", "linux-stable"),
        ("cargo-0123456789abcdef0123456789abcdef01234567", "cargo-*"),
        ("cargo-0123456789ABCDEF-debug", "cargo-*-debug"),
        ("Linux-9876543210", "Linux-*"),
        ("sha-abcdef1", "sha-*"),
        ("sha-abcdef", "sha-abcdef"),
        ("nightly-2026-11-23-x", "nightly-*-x"),
        ("nightly-20261123", "nightly-*"),
        ("2026-11-2", "2026-11-2"),
        ("week-2026-47", "week-2026-47"),
        (
            "v0-rust-build-Linux-x64-1a2b3c4d-5e6f7a8b",
            "v0-rust-build-Linux-x64-*-*",
        ),
        ("ubuntu-24.04-1.85.0", "ubuntu-24.04-1.85.0"),
        ("schlüssel-🦀-0000000ß", "schlüssel-🦀-*ß"),
        ("2026-11-23abcdef12", "**"),
    ];
    for (key, wanted) in cases {
        assert_eq!(family(key), wanted, "{key}");
    }
}

#[test]
fn the_most_recently_used_entries_of_each_family_stay() {
    let candidates = [
        entry("a", "k-00000001", 5, &[]),
        entry("a", "k-00000002", 1, &[]),
        entry("a", "k-00000003", 3, &[]),
        entry("b", "k-00000001", 9, &[]),
    ];
    assert_eq!(
        dropped(&candidates, &[], &keep(CacheKind::Path, 2)),
        [(0, EvictReason::BeyondFamilyLimit(2))]
    );
    assert_eq!(dropped(&candidates, &[], &keep(CacheKind::Target, 0)), []);
}

#[test]
fn a_matrix_of_more_cells_than_are_kept_keeps_all_of_them() {
    let cells = [
        "1.85", "1.86", "1.87", "stable", "beta", "nightly", "msrv", "docs",
    ];
    let mut candidates = Vec::new();
    // Three runs, each of which saves all cells under keys with a new digest.
    for run in 0..3 {
        for (number, cell) in cells.iter().enumerate() {
            let key = format!("test-{cell}-{run:016x}");
            let hours = 100 - 10 * run - i64::try_from(number).unwrap();
            candidates.push(entry("target", &key, hours, &[]));
        }
    }
    let gone: Vec<usize> = dropped(&candidates, &[], &keep(CacheKind::Path, 2))
        .into_iter()
        .map(|(at, _)| at)
        .collect();
    assert_eq!(gone, (0..16).collect::<Vec<_>>(), "no cell of the last run");
    // A cell that no longer runs does not evict one that does.
    let gone = dropped(&candidates, &[], &keep(CacheKind::Path, 3));
    let gone: Vec<usize> = gone.into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        gone,
        (0..8).chain(8..12).collect::<Vec<_>>(),
        "twelve stay, the newest of each cell among them"
    );
}

#[test]
fn a_group_keeps_a_few_times_what_a_family_keeps_whatever_its_keys_are() {
    let names = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    ];
    let candidates: Vec<_> = (0..)
        .zip(names)
        .map(|(hours, name)| entry("a", name, hours, &[]))
        .collect();
    let most = 2 * MAX_FAMILIES;
    let wanted: Vec<_> = (most..names.len())
        .map(|at| (at, EvictReason::BeyondGroupLimit(most)))
        .collect();
    assert_eq!(dropped(&candidates, &[], &keep(CacheKind::Path, 2)), wanted);
    assert_eq!(
        dropped(&candidates, &[], &keep(CacheKind::Path, 0)).len(),
        names.len()
    );
}

#[test]
fn each_kind_has_its_own_number_of_generations() {
    let kinds = [
        CacheKind::Registry,
        CacheKind::Git,
        CacheKind::Target,
        CacheKind::Path,
    ];
    let mut candidates = Vec::new();
    for kind in kinds {
        let group = group("acme/widget", "", kind, "x");
        candidates.extend((0..8).map(|age| of(&group, &format!("k-{age:08}"), age, &[])));
    }
    let policy = RetentionPolicy {
        keep: RetentionPolicy::DEFAULT_KEEP.into(),
        ..RetentionPolicy::default()
    };
    let gone = dropped(&candidates, &[], &policy);
    let counts = kinds.map(|kind| {
        gone.iter()
            .filter(|(at, _)| candidates[*at].kind == kind)
            .count()
    });
    assert_eq!(counts, [3, 3, 5, 3]);
}

#[test]
fn generations_are_counted_for_each_scope_ref_kind_and_list_of_paths() {
    let one = group("acme/widget", "refs/heads/a", CacheKind::Path, "x");
    let others = [
        one.clone(),
        EntryGroup {
            scope: "acme/gadget".into(),
            ..one.clone()
        },
        EntryGroup {
            git_ref: "refs/heads/b".into(),
            ..one.clone()
        },
        EntryGroup {
            kind: CacheKind::Target,
            ..one.clone()
        },
        EntryGroup {
            paths: vec!["y".into()],
            ..one
        },
    ];
    let candidates: Vec<_> = others.iter().map(|group| of(group, "k", 1, &[])).collect();
    let policy = RetentionPolicy {
        keep: HashMap::from([(CacheKind::Path, 1), (CacheKind::Target, 1)]),
        ..RetentionPolicy::default()
    };
    assert_eq!(dropped(&candidates, &[], &policy), []);
}

#[test]
fn entries_of_groups_that_the_policy_does_not_name_stay() {
    let candidates = [
        entry("a", "k-00000001", 5, &[]),
        entry("a", "k-00000002", 1, &[]),
        entry("b", "k", 9, &[]),
    ];
    let policy = RetentionPolicy {
        groups: Some(groups(&candidates[2])),
        ..keep(CacheKind::Path, 1)
    };
    assert_eq!(dropped(&candidates, &[], &policy), []);
    let policy = RetentionPolicy {
        groups: Some(groups(&candidates[0])),
        ..policy
    };
    assert_eq!(
        dropped(&candidates, &[], &policy),
        [(0, EvictReason::BeyondFamilyLimit(1))]
    );
}

#[test]
fn entries_unused_for_too_long_are_evicted_and_a_clock_set_back_makes_none_old() {
    let candidates = [
        entry("a", "1", 8 * 24, &[]),
        entry("a", "2", 7 * 24, &[]),
        entry("a", "3", -24, &[]),
        entry("a", "4", i64::from(i32::MIN), &[]),
    ];
    let policy = RetentionPolicy {
        max_age: Some(Duration::from_secs(7 * DAY)),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        dropped(&candidates, &[], &policy),
        [(0, EvictReason::MaxAge(Duration::from_secs(8 * DAY)))]
    );
}

#[test]
fn a_store_that_is_too_large_evicts_the_least_recently_used_and_only_as_much_as_needed() {
    let sizes = [100, 10, 10, 10];
    let candidates = [
        entry("a", "1", 3, &[0, 1]),
        entry("a", "2", 2, &[0, 2]),
        entry("a", "3", 1, &[0, 3]),
    ];
    let policy = |max_bytes| RetentionPolicy {
        max_bytes: Some(max_bytes),
        ..RetentionPolicy::default()
    };
    assert_eq!(dropped(&candidates, &sizes, &policy(130)), []);
    assert_eq!(
        dropped(&candidates, &sizes, &policy(120)),
        [(0, EvictReason::LeastRecentlyUsed)]
    );
    assert_eq!(dropped(&candidates, &sizes, &policy(0)).len(), 3);
}

#[test]
fn a_run_over_its_size_evicts_its_own_older_generations_before_entries_of_others() {
    let sizes = [10; 6];
    let own = |key: &str, hours, need| entry("own", key, hours, &[need]);
    let candidates = [
        own("k-00000001", 1, 0),
        own("k-00000002", 2, 1),
        own("k-00000003", 3, 2),
        entry("other", "k-00000001", 500, &[3]),
        entry("other", "k-00000002", 400, &[4]),
        own("m-00000001", 9, 5),
    ];
    let policy = |max_bytes| RetentionPolicy {
        max_bytes: Some(max_bytes),
        groups: Some(groups(&candidates[0])),
        ..RetentionPolicy::default()
    };
    let gone = |max_bytes| dropped(&candidates, &sizes, &policy(max_bytes));
    assert_eq!(gone(50), [(2, EvictReason::OlderOwn)]);
    assert_eq!(
        gone(40),
        [(1, EvictReason::OlderOwn), (2, EvictReason::OlderOwn)]
    );
    assert_eq!(gone(30)[2], (3, EvictReason::LeastRecentlyUsed));
    // Without a run of its own, the least recently used is evicted first.
    let by_hand = RetentionPolicy {
        max_bytes: Some(50),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        dropped(&candidates, &sizes, &by_hand),
        [(3, EvictReason::LeastRecentlyUsed)]
    );
}

#[test]
fn when_space_is_needed_entries_are_evicted_in_the_documented_order() {
    let main = group("acme/widget", "refs/heads/main", CacheKind::Path, "x");
    let topic = group("acme/widget", "refs/heads/topic", CacheKind::Path, "x");
    let candidates = [
        of(&main, "k-00000009", 2000, &[]), // 0: the newest of the default branch, unused for long
        of(&topic, "k-00000001", 400, &[]), // 1: old
        of(&topic, "k-00000002", 500, &[]), // 2: older
        of(&topic, "m-00000003", 10, &[]),  // 3
        of(&topic, "m-00000004", 20, &[]),  // 4
        of(&topic, "m-00000005", 30, &[]),  // 5: beyond the two kept
        of(&topic, "n", 5, &[]),            // 6
        of(&main, "k-00000008", 2100, &[]), // 7: not the newest of the default branch, and old
    ];
    let policy = RetentionPolicy {
        old_after: Some(Duration::from_secs(7 * DAY)),
        ..keep(CacheKind::Path, 2)
    };
    assert_eq!(turns(&candidates, &policy), [7, 2, 1, 5, 4, 3, 6, 0]);
    let reasons: Vec<EvictReason> = eviction_order(&candidates, &policy, NOW)
        .iter()
        .map(|going| going.reason)
        .collect();
    assert_eq!(reasons[7], EvictReason::NewestOfDefaultBranch);
    assert!(matches!(reasons[0], EvictReason::Old(_)));
    // What only matters when room is needed drops nothing by itself.
    let gone = dropped(&candidates, &[], &policy);
    assert_eq!(gone, [(5, EvictReason::BeyondFamilyLimit(2))]);
}

#[test]
fn the_default_branch_is_the_one_that_the_run_knows_else_one_of_the_usual_names() {
    let known = [local_cache::store::CacheScope::branch(
        "acme/widget",
        "trunk",
    )];
    let cases = [
        ("acme/widget", "refs/heads/trunk", true),
        ("acme/widget", "refs/heads/main", false),
        ("acme/gadget", "refs/heads/main", true),
        ("acme/gadget", "refs/heads/master", true),
        ("acme/gadget", "refs/heads/trunk", false),
        ("acme/gadget", "refs/pull/7/merge", false),
        ("acme/gadget", "", true),
    ];
    for (scope, git_ref, wanted) in cases {
        let group = group(scope, git_ref, CacheKind::Path, "x");
        assert_eq!(
            is_default_branch(&group, &known),
            wanted,
            "{scope} {git_ref}"
        );
    }
}

#[test]
fn ranks_count_within_a_family_and_without_limits_everything_stays() {
    let candidates = [
        entry("a", "k-00000001", 4, &[]),
        entry("a", "k-00000002", 3, &[]),
        entry("a", "m", 9, &[]),
    ];
    let decisions = decide(&candidates, &[], &RetentionPolicy::default(), NOW);
    let found: Vec<_> = decisions
        .iter()
        .map(|decision| (decision.rank, decision.evict))
        .collect();
    assert_eq!(found, [(1, None), (2, None), (1, None)]);
    assert_eq!(decisions[0].id, candidates[1].id);
}

#[test]
fn decisions_do_not_depend_on_the_order_in_which_entries_are_listed() {
    let mut candidates: Vec<_> = (0..40)
        .map(|n| {
            entry(
                ["a", "b"][n % 2],
                &format!("k{}-{n:08x}", n % 3),
                [0, 1, 2, 3, 4][n % 5],
                &[n],
            )
        })
        .collect();
    let sizes = [7; 40];
    let policy = RetentionPolicy {
        max_bytes: Some(60),
        ..keep(CacheKind::Path, 3)
    };
    let wanted = decide(&candidates, &sizes, &policy, NOW);
    candidates.reverse();
    assert_eq!(decide(&candidates, &sizes, &policy, NOW), wanted);
    candidates.rotate_left(13);
    assert_eq!(decide(&candidates, &sizes, &policy, NOW), wanted);
}
