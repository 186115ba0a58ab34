//! What the remote has of one group: one list, then the newest records.

use crate::digest::Digest;
use crate::error::Error;
use crate::monitor::Monitor;
use crate::remote::client::{ListedObject, PendingRange, RemoteClient};
use crate::remote::error::{RemoteError, RemoteResult};
use crate::remote::name::{GroupName, ObjectKind, PushId};
use crate::remote::record::{LARGEST_RECORD, ReadRecord};

/// So many records of a group are read at most: those written last. Garbage collection keeps fewer.
const MOST_RECORDS: usize = 64;

/// The objects of a group, by name.
#[derive(Debug, Default)]
pub(crate) struct GroupListing {
    pub(crate) objects: Vec<ListedObject>,
}

impl GroupListing {
    pub(crate) fn read(
        client: &RemoteClient,
        group: &GroupName,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Self> {
        let objects = client.list(&group.objects(), monitor)?;
        Ok(Self { objects })
    }

    /// Only the records, which is enough to find an entry.
    pub(crate) fn read_records(
        client: &RemoteClient,
        group: &GroupName,
        monitor: &dyn Monitor,
    ) -> RemoteResult<Self> {
        let objects = client.list(&group.records(), monitor)?;
        Ok(Self { objects })
    }

    /// Only the records with this key's id, without those of some pushes.
    pub(crate) fn of_key(&self, key_id: &str, without: &[PushId]) -> Self {
        let is_of_key = |object: &&ListedObject| match ObjectKind::of(&object.name) {
            ObjectKind::Record { key_id: id } => {
                let is_left_out = |push: &PushId| object.name.contains(&format!("-{push}.json"));
                id == key_id && !without.iter().any(is_left_out)
            }
            _ => false,
        };
        Self {
            objects: self.objects.iter().filter(is_of_key).cloned().collect(),
        }
    }

    /// What `other` does not have.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let is_new = |object: &&ListedObject| !other.objects.contains(object);
        Self {
            objects: self.objects.iter().filter(is_new).cloned().collect(),
        }
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (Digest, &ListedObject)> {
        self.objects.iter().filter_map(|object| {
            let (directory, digest) = object.name.rsplit_once('/')?;
            let digest = digest.parse().ok()?;
            directory.ends_with("/segments").then_some((digest, object))
        })
    }

    /// The records, the last written first.
    fn records(&self) -> Vec<&ListedObject> {
        let mut records = records_among(&self.objects);
        records.sort_by_key(|object| std::cmp::Reverse(object.written));
        records
    }
}

/// The records among listed objects.
pub(crate) fn records_among(objects: &[ListedObject]) -> Vec<&ListedObject> {
    let is_record =
        |object: &&ListedObject| matches!(ObjectKind::of(&object.name), ObjectKind::Record { .. });
    objects.iter().filter(is_record).collect()
}

/// Reads the records that were written last, newest first, also those that this machine refuses. A
/// damaged one is a warning.
pub(crate) fn newest_records<'l>(
    client: &RemoteClient,
    listing: &'l GroupListing,
    monitor: &dyn Monitor,
) -> RemoteResult<Vec<(&'l ListedObject, ReadRecord)>> {
    let mut objects = listing.records();
    objects.truncate(MOST_RECORDS);
    let read = read_records(client, &objects, monitor)?;
    let mut records = Vec::with_capacity(read.len());
    for (object, result) in objects.into_iter().zip(read) {
        match result {
            Ok(record) => records.push((object, record)),
            // Garbage collection removed it meanwhile.
            Err(RemoteError::Missing { .. }) => {}
            Err(error) => monitor.warn(&Error::from(error).with_advice()),
        }
    }
    Ok(records)
}

/// Reads records, several at a time. An error that concerns only one of them is among the results.
pub(crate) fn read_records(
    client: &RemoteClient,
    objects: &[&ListedObject],
    monitor: &dyn Monitor,
) -> RemoteResult<Vec<RemoteResult<ReadRecord>>> {
    let mut records = Vec::with_capacity(objects.len());
    for objects in objects.chunks(MOST_RECORDS) {
        let start = |object: &&ListedObject| start_record(client, object);
        let pending: Vec<_> = objects.iter().map(start).collect();
        for (object, range) in objects.iter().zip(pending) {
            let record = range
                .and_then(|range| range.wait(monitor))
                .and_then(|bytes| ReadRecord::decode(&bytes, &object.name, &client.keys));
            match record {
                Err(error) if !error.is_of_object() => return Err(error),
                result => records.push(result),
            }
        }
    }
    Ok(records)
}

/// Anyone who may write to a group can put an object of any size there.
fn start_record<'c>(
    client: &'c RemoteClient,
    object: &ListedObject,
) -> RemoteResult<PendingRange<'c>> {
    if object.bytes > LARGEST_RECORD {
        return Err(RemoteError::damaged(&object.name, "it is too large"));
    }
    client.start_range(&object.name, 0..object.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_written_records_come_first_and_those_of_a_key_can_be_had_alone() {
        let key = |digit: char| digit.to_string().repeat(32);
        let object = |name: String, written| ListedObject {
            name,
            bytes: 10,
            written,
        };
        let record = |digit, written| {
            object(
                format!("g/entries/{}-{}.json", key(digit), key('f')),
                written,
            )
        };
        let listing = GroupListing {
            objects: vec![
                record('a', 1),
                record('b', 5),
                record('c', 3),
                object("g/entries/notes".into(), 9),
                object(format!("g/segments/{}", Digest::of(b"s")), 9),
            ],
        };
        let order = |listing: &GroupListing| -> Vec<i64> {
            let records = listing.records();
            records.iter().map(|object| object.written).collect()
        };
        assert_eq!(order(&listing), [5, 3, 1]);
        let of_key = listing.of_key(&key('a'), &[]);
        assert_eq!(order(&of_key), [1]);
        assert_eq!(order(&listing.without(&of_key)), [5, 3]);
        assert_eq!(listing.segments().count(), 1);
    }
}
