//! Runs through all interleavings of garbage collection, repairs and two pushes in a small model of a
//! bucket, with the functions that decide in the real ones.
//!
//! The first record is sometimes unreadable, as a damaged one is, or one of a newer version.
//!
//! Time passes in steps of an hour, between any two steps of the others. The model stores ages
//! instead of times, up to the age from which on nothing changes any more. So it has finitely many
//! states, and the search covers any number of runs of garbage collection, of any length.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::SHORTEST_GRACE;
use super::decide::{Unreferenced, decide_data};
use crate::digest::Digest;
use crate::fs::Timestamp;
use crate::remote::client::ListedObject;
use crate::remote::lookup::GroupListing;
use crate::remote::name::{GroupName, Trust};
use crate::remote::push::{PUSH_LIMIT, RESUME_AGE, unfinished_segments};
use crate::remote::record::RemoteRecord;
use crate::remote::record::tests::record;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Any time that is late enough to subtract ages from.
const NOW: i64 = 1_000_000;
/// Segment 0 is named by a record at first, the others are written by the two pushes.
const SEGMENTS: usize = 3;
/// Sets of segments, one bit for each.
type Set = u8;
/// In hours.
type Age = u8;
/// What the first record names.
const FIRST: Set = 0b001;
/// By segment.
type Ages = [Option<Age>; SEGMENTS];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PushState {
    Idle,
    Listed { elapsed: Age, reused: Set },
    Uploaded { elapsed: Age, reused: Set },
    Ended,
}

/// A record, by the segments that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ModelRecord {
    names: Set,
    is_readable: bool,
}

/// What runs of garbage collection and repairs do, of which there is one at a time.
///
/// A run decides by what it lists. Then it writes the marks, deletes data, and drops records. A
/// repair decides about records, removes all marks, and drops the records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum GcState {
    Idle,
    Decided(Ages, Set, Vec<Set>),
    Marked(Set, Vec<Set>),
    RepairDecided(Vec<Set>),
    /// Only the records are left to drop.
    Dropping(Vec<Set>),
}

/// What makes garbage collection safe.
#[derive(Clone, Copy)]
struct Rules {
    grace: Duration,
    leaves_unreadable: bool,
    repair_removes_marks: bool,
}

const REAL: Rules = Rules {
    grace: SHORTEST_GRACE,
    leaves_unreadable: true,
    repair_removes_marks: true,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bucket {
    /// The ages of the segments that exist.
    segments: Ages,
    records: Vec<ModelRecord>,
    marks: Ages,
    pushes: [PushState; 2],
    gc: GcState,
}

fn hours(duration: Duration) -> Age {
    Age::try_from(duration.as_secs() / HOUR.as_secs()).unwrap()
}

fn milliseconds(age: Age) -> i64 {
    i64::from(age) * i64::try_from(HOUR.as_millis()).unwrap()
}

fn now() -> i64 {
    NOW * 1000
}

fn digest(segment: usize) -> Digest {
    Digest::of(&segment.to_le_bytes())
}

fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..SEGMENTS).filter(move |segment| set & (1 << segment) != 0)
}

fn real_record(set: Set) -> RemoteRecord {
    let digests: Vec<Digest> = members(set).map(digest).collect();
    record("linux-1", 0, &digests)
}

fn group() -> GroupName {
    GroupName::new(Trust::Branch, &real_record(0).entry.group)
}

fn older(ages: &mut Ages, oldest: Age) {
    for age in ages.iter_mut().flatten() {
        *age = (*age + 1).min(oldest);
    }
}

impl Bucket {
    fn new() -> Self {
        Self {
            segments: [Some(0), None, None],
            records: vec![ModelRecord {
                names: FIRST,
                is_readable: true,
            }],
            marks: [None; SEGMENTS],
            pushes: [PushState::Idle; 2],
            gc: GcState::Idle,
        }
    }

    fn objects(&self) -> Vec<ListedObject> {
        let existing = self.segments.iter().enumerate();
        existing
            .filter_map(|(segment, age)| {
                Some(ListedObject {
                    name: group().segment(&digest(segment)),
                    bytes: 1,
                    written: now() - milliseconds((*age)?),
                })
            })
            .collect()
    }

    /// Whether each record has all its data.
    fn is_whole(&self) -> bool {
        let mut named = self.records.iter().flat_map(|it| members(it.names));
        named.all(|segment| self.segments[segment].is_some())
    }

    fn next(&self, rules: Rules) -> Vec<Self> {
        let mut next = vec![self.an_hour_later()];
        // The pushes are equal, so it does not matter which of them is the first one.
        let second = (self.pushes[0] != PushState::Idle).then_some(1);
        let pushes = std::iter::once(0).chain(second);
        next.extend(pushes.filter_map(|push| self.push_step(push, rules.grace)));
        next.extend(self.gc_steps(rules));
        next.extend(self.first_record_changed());
        next
    }

    /// Another version of the program can read what this one cannot.
    fn first_record_changed(&self) -> Option<Self> {
        let mut next = self.clone();
        let first = next.records.iter_mut().find(|it| it.names == FIRST)?;
        first.is_readable = !first.is_readable;
        Some(next)
    }

    fn an_hour_later(&self) -> Self {
        let mut next = self.clone();
        older(&mut next.segments, hours(RESUME_AGE) + 1);
        let longest = hours(SHORTEST_GRACE);
        older(&mut next.marks, longest);
        if let GcState::Decided(marks, ..) = &mut next.gc {
            older(marks, longest);
        }
        for push in &mut next.pushes {
            if let PushState::Listed { elapsed, .. } | PushState::Uploaded { elapsed, .. } = push {
                *elapsed = (*elapsed + 1).min(hours(PUSH_LIMIT));
            }
        }
        next
    }

    fn push_step(&self, push: usize, grace: Duration) -> Option<Self> {
        let mut next = self.clone();
        next.pushes[push] = match self.pushes[push] {
            PushState::Idle => PushState::Listed {
                elapsed: 0,
                reused: self.decisions(grace).reusable,
            },
            PushState::Listed { elapsed, reused } => {
                next.segments[1 + push] = Some(0);
                PushState::Uploaded { elapsed, reused }
            }
            PushState::Uploaded { elapsed, reused } => {
                if HOUR * u32::from(elapsed) < PUSH_LIMIT {
                    next.records.push(ModelRecord {
                        names: reused | (2 << push),
                        is_readable: true,
                    });
                    next.records.sort_unstable();
                }
                PushState::Ended
            }
            PushState::Ended => return None,
        };
        Some(next)
    }

    fn gc_steps(&self, rules: Rules) -> Vec<Self> {
        let with = |gc: GcState| Self { gc, ..self.clone() };
        match &self.gc {
            GcState::Idle => {
                let mut next = self.first_steps_of_a_run(rules);
                // What is damaged may also be data of a record that can be read.
                for of_all in [false, true] {
                    let damaged = self.records.iter().filter(|it| of_all || !it.is_readable);
                    let damaged: Vec<Set> = damaged.map(|it| it.names).collect();
                    if !damaged.is_empty() {
                        next.push(with(GcState::RepairDecided(damaged)));
                    }
                }
                next
            }
            GcState::RepairDecided(damaged) => {
                let mut next = with(GcState::Dropping(damaged.clone()));
                if rules.repair_removes_marks {
                    next.marks = [None; SEGMENTS];
                }
                vec![next]
            }
            GcState::Decided(marks, delete, dropped) => vec![Self {
                marks: *marks,
                ..with(GcState::Marked(*delete, dropped.clone()))
            }],
            GcState::Marked(delete, dropped) => {
                let mut next = with(GcState::Dropping(dropped.clone()));
                for segment in members(*delete) {
                    next.segments[segment] = None;
                }
                vec![next]
            }
            GcState::Dropping(dropped) => {
                let mut next = with(GcState::Idle);
                next.records.retain(|it| !dropped.contains(&it.names));
                vec![next]
            }
        }
    }

    fn first_steps_of_a_run(&self, rules: Rules) -> Vec<Self> {
        let with = |gc: GcState| Self { gc, ..self.clone() };
        let readable: Vec<Set> = self.readable().collect();
        if readable.len() == self.records.len() {
            let Decisions { marks, delete, .. } = self.decisions(rules.grace);
            // Retention drops nothing, or everything that the list shows.
            let choices = [Vec::new(), readable];
            choices
                .map(|dropped| with(GcState::Decided(marks, delete, dropped)))
                .to_vec()
        } else if rules.leaves_unreadable {
            Vec::new()
        } else {
            vec![with(GcState::Dropping(readable))]
        }
    }

    fn readable(&self) -> impl Iterator<Item = Set> {
        let readable = self.records.iter().filter(|it| it.is_readable);
        readable.map(|it| it.names)
    }

    /// What the real functions decide. Many states differ only in what these do not see.
    fn decisions(&self, grace: Duration) -> Decisions {
        type Seen = (Ages, Vec<Set>, Ages, Duration);
        thread_local! {
            static KNOWN: RefCell<HashMap<Seen, Decisions>> = RefCell::default();
        }
        let readable = self.readable().collect();
        let seen = (self.segments, readable, self.marks, grace);
        if let Some(known) = KNOWN.with_borrow(|known| known.get(&seen).copied()) {
            return known;
        }
        let decisions = self.decide(grace);
        KNOWN.with_borrow_mut(|known| known.insert(seen, decisions));
        decisions
    }

    fn decide(&self, grace: Duration) -> Decisions {
        let group = group();
        let name = |segment: usize| group.segment(&digest(segment));
        let marks = self.marks.iter().enumerate();
        let since: BTreeMap<String, i64> = marks
            .filter_map(|(segment, age)| Some((name(segment), now() - milliseconds((*age)?))))
            .collect();
        let records: Vec<RemoteRecord> = self.readable().map(real_record).collect();
        let earlier = Unreferenced { since };
        let objects = self.objects();
        let decision = decide_data(&group, &objects, &records, &earlier, (now(), grace));
        let named: HashSet<Digest> = self.readable().flat_map(members).map(digest).collect();
        let listing = GroupListing { objects };
        let time = Timestamp {
            seconds: NOW,
            nanoseconds: 0,
        };
        let young: HashSet<Digest> = unfinished_segments(&listing, &named, time)
            .into_iter()
            .map(|(digest, _)| digest)
            .collect();
        let mut decisions = Decisions::default();
        for segment in 0..SEGMENTS {
            let since = decision.unreferenced.since.get(&name(segment));
            let age = since.map(|since| (now() - since) / milliseconds(1));
            decisions.marks[segment] = age.map(|age| Age::try_from(age).unwrap());
            if decision.delete.contains(&name(segment)) {
                decisions.delete |= 1 << segment;
            }
            if named.contains(&digest(segment)) || young.contains(&digest(segment)) {
                decisions.reusable |= 1 << segment;
            }
        }
        decisions
    }
}

#[derive(Clone, Copy, Default)]
struct Decisions {
    /// The marks that a run writes, and what it deletes.
    marks: Ages,
    delete: Set,
    /// Everything that a push may reuse.
    reusable: Set,
}

/// A state in which a record lacks data, if there is one, and the number of states.
fn search(rules: Rules) -> (Option<Bucket>, usize) {
    let mut seen = HashSet::from([Bucket::new()]);
    let mut open = vec![Bucket::new()];
    while let Some(bucket) = open.pop() {
        for next in bucket.next(rules) {
            if !next.is_whole() {
                return (Some(next), seen.len());
            }
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    (None, seen.len())
}

#[test]
fn no_interleaving_of_garbage_collection_repairs_and_two_pushes_loses_data() {
    let (broken, states) = search(REAL);
    assert_eq!(broken, None);
    // The model would be wrong if it reached only a few.
    assert!(states > 10_000, "{states} states");
}

#[test]
fn a_grace_period_shorter_than_a_push_would_lose_data() {
    let rules = Rules {
        grace: HOUR,
        ..REAL
    };
    assert!(search(rules).0.is_some());
}

#[test]
fn removing_entries_of_a_group_with_an_unreadable_record_would_lose_data() {
    let rules = Rules {
        leaves_unreadable: false,
        ..REAL
    };
    assert!(search(rules).0.is_some());
}

#[test]
fn a_repair_that_leaves_the_marks_would_lose_data() {
    let rules = Rules {
        repair_removes_marks: false,
        ..REAL
    };
    assert!(search(rules).0.is_some());
}
