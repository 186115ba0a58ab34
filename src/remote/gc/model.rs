//! Runs through all interleavings of garbage collection and two pushes in a small model of a bucket,
//! with the functions that decide in the real ones.
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
/// By segment.
type Ages = [Option<Age>; SEGMENTS];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PushState {
    Idle,
    Listed { elapsed: Age, reused: Set },
    Uploaded { elapsed: Age, reused: Set },
    Ended,
}

/// A run decides by what it lists. Then it writes the marks, deletes data, and drops records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum GcState {
    Idle,
    Decided(Ages, Set, Vec<Set>),
    Marked(Set, Vec<Set>),
    Deleted(Vec<Set>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bucket {
    /// The ages of the segments that exist.
    segments: Ages,
    /// The segments that each record names.
    records: Vec<Set>,
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
            records: vec![0b001],
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
        let mut named = self.records.iter().flat_map(|set| members(*set));
        named.all(|segment| self.segments[segment].is_some())
    }

    fn next(&self, grace: Duration) -> Vec<Self> {
        let mut next = vec![self.an_hour_later()];
        next.extend((0..2).filter_map(|push| self.push_step(push, grace)));
        next.extend(self.gc_steps(grace));
        next
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
                    next.records.push(reused | (2 << push));
                    next.records.sort_unstable();
                }
                PushState::Ended
            }
            PushState::Ended => return None,
        };
        Some(next)
    }

    fn gc_steps(&self, grace: Duration) -> Vec<Self> {
        let with = |gc: GcState| Self { gc, ..self.clone() };
        match &self.gc {
            GcState::Idle => {
                let Decisions { marks, delete, .. } = self.decisions(grace);
                // Retention drops nothing, or everything that the list shows.
                let choices = [Vec::new(), self.records.clone()];
                choices
                    .map(|dropped| with(GcState::Decided(marks, delete, dropped)))
                    .to_vec()
            }
            GcState::Decided(marks, delete, dropped) => vec![Self {
                marks: *marks,
                ..with(GcState::Marked(*delete, dropped.clone()))
            }],
            GcState::Marked(delete, dropped) => {
                let mut next = with(GcState::Deleted(dropped.clone()));
                for segment in members(*delete) {
                    next.segments[segment] = None;
                }
                vec![next]
            }
            GcState::Deleted(dropped) => {
                let mut next = with(GcState::Idle);
                next.records.retain(|record| !dropped.contains(record));
                vec![next]
            }
        }
    }

    /// What the real functions decide. Many states differ only in what these do not see.
    fn decisions(&self, grace: Duration) -> Decisions {
        type Seen = (Ages, Vec<Set>, Ages, Duration);
        thread_local! {
            static KNOWN: RefCell<HashMap<Seen, Decisions>> = RefCell::default();
        }
        let seen = (self.segments, self.records.clone(), self.marks, grace);
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
        let records: Vec<RemoteRecord> = self.records.iter().copied().map(real_record).collect();
        let earlier = Unreferenced { since };
        let objects = self.objects();
        let decision = decide_data(&group, &objects, &records, &earlier, (now(), grace));
        let named: HashSet<Digest> = self
            .records
            .iter()
            .flat_map(|set| members(*set))
            .map(digest)
            .collect();
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
fn search(grace: Duration) -> (Option<Bucket>, usize) {
    let mut seen = HashSet::from([Bucket::new()]);
    let mut open = vec![Bucket::new()];
    while let Some(bucket) = open.pop() {
        for next in bucket.next(grace) {
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
fn no_interleaving_of_garbage_collection_and_two_pushes_loses_data() {
    let (broken, states) = search(SHORTEST_GRACE);
    assert_eq!(broken, None);
    // The model would be wrong if it reached only a few.
    assert!(states > 10_000, "{states} states");
}

#[test]
fn a_grace_period_shorter_than_a_push_would_lose_data() {
    assert!(search(HOUR).0.is_some());
}
