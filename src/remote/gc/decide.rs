//! Decides what garbage collection removes from one group (pure).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::remote::client::ListedObject;
use crate::remote::name::{GroupName, ObjectKind};
use crate::remote::record::RemoteRecord;

/// The data that no record named in a run, each with the time of the first such run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unreferenced {
    /// By name; in milliseconds since the epoch.
    pub(crate) since: BTreeMap<String, i64>,
}

/// What one run does with the data of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataDecision {
    /// Unneeded for longer than the grace period.
    pub(crate) delete: Vec<String>,
    /// What the next run compares with.
    pub(crate) unreferenced: Unreferenced,
}

/// Decides about the data of a group. `records` are all records that the listing shows.
pub(crate) fn decide_data<'r>(
    group: &GroupName,
    objects: &[ListedObject],
    records: impl IntoIterator<Item = &'r RemoteRecord>,
    earlier: &Unreferenced,
    (now, grace): (i64, Duration),
) -> DataDecision {
    let names = records.into_iter().flat_map(|it| names_of(group, it));
    let named: HashSet<String> = names.collect();
    let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let mut decision = DataDecision::default();
    let data = objects
        .iter()
        .filter(|object| ObjectKind::of(&object.name) == ObjectKind::Data)
        .filter(|object| !named.contains(&object.name));
    for object in data {
        // A later time than now comes from a clock that was set back; it counts as now.
        let since = earlier.since.get(&object.name).copied();
        let since = since.unwrap_or(now).min(now);
        if now.saturating_sub(since) >= grace {
            decision.delete.push(object.name.clone());
        }
        // Also what is deleted: the deletion may fail.
        decision
            .unreferenced
            .since
            .insert(object.name.clone(), since);
    }
    decision
}

/// The names of the data that a record needs.
pub(crate) fn names_of(group: &GroupName, record: &RemoteRecord) -> Vec<String> {
    let segments = record.segments.iter();
    segments
        .map(|segment| group.segment(&segment.digest))
        .chain([group.manifest(&record.manifest.digest)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::remote::name::Trust;
    use crate::remote::record::tests::record;

    const GRACE: Duration = Duration::from_millis(100);

    #[test]
    fn data_goes_when_two_runs_at_least_the_grace_period_apart_did_not_need_it() {
        let [used, unused] = [b"used", b"none"].map(|name| Digest::of(name));
        let record = record("linux-1", 5, &[used]);
        let group = GroupName::new(Trust::Branch, &record.entry.group);
        let object = |name: String| ListedObject {
            name,
            bytes: 1,
            written: 0,
        };
        let objects = [
            object(group.segment(&used)),
            object(group.segment(&unused)),
            object(group.manifest(&record.manifest.digest)),
            object(group.unreferenced()),
        ];
        let run = |records: &[RemoteRecord], earlier: &Unreferenced, now| {
            decide_data(&group, &objects, records, earlier, (now, GRACE))
        };
        let records = [record];
        let first = run(&records, &Unreferenced::default(), 1000);
        assert_eq!(first.delete, Vec::<String>::new());
        assert_eq!(
            first.unreferenced.since,
            BTreeMap::from([(group.segment(&unused), 1000)])
        );
        assert_eq!(run(&records, &first.unreferenced, 1099).delete.len(), 0);
        let second = run(&records, &first.unreferenced, 1100);
        assert_eq!(second.delete, [group.segment(&unused)]);
        // A run that saw it needed starts over.
        let needed = run(&records, &Unreferenced::default(), 1000).unreferenced;
        assert!(!needed.since.contains_key(&group.segment(&used)));
        assert_eq!(run(&[], &needed, 1100).delete, [group.segment(&unused)]);
    }

    #[test]
    fn a_clock_that_was_set_back_only_delays() {
        let record = record("linux-1", 5, &[]);
        let group = GroupName::new(Trust::Branch, &record.entry.group);
        let name = group.segment(&Digest::of(b"x"));
        let objects = [ListedObject {
            name: name.clone(),
            bytes: 1,
            written: 0,
        }];
        let earlier = Unreferenced {
            since: BTreeMap::from([(name.clone(), 5000)]),
        };
        let decision = decide_data(&group, &objects, &[], &earlier, (1000, GRACE));
        assert_eq!(decision.delete, Vec::<String>::new());
        assert_eq!(decision.unreferenced.since[&name], 1000);
    }
}
