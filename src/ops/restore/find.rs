//! Finding the entry for a key, without those that turn out to be damaged or unreadable.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::restore::request::RestoreRequest;
use crate::store::key_match::{self, KeyCandidate, KeyMatch};
use crate::store::{Entry, EntryGroup, EntryId, Store};

pub(super) struct FoundMatch {
    pub(super) id: EntryId,
    pub(super) entry: Entry,
    pub(super) matched: KeyMatch,
}

/// Looks up entries and quarantines the damaged ones.
pub(super) struct EntryFinder<'a> {
    store: &'a Store,
    monitor: &'a dyn Monitor,
    /// Entries that are damaged or can't be read now. They stay listed where quarantine fails, and
    /// must not be found again.
    unusable: HashSet<EntryId>,
}

impl<'a> EntryFinder<'a> {
    pub(super) fn new(store: &'a Store, monitor: &'a dyn Monitor) -> Self {
        Self {
            store,
            monitor,
            unusable: HashSet::new(),
        }
    }

    /// The best entry for the request; `None` on a miss.
    pub(super) fn find(&mut self, request: &RestoreRequest<'_>) -> Result<Option<FoundMatch>> {
        for group in request.groups {
            // The usual case reads one file instead of every entry of the group.
            let id = group.entry_id(request.key);
            if let Some(entry) = self.read_entry(&id)? {
                let matched = KeyMatch::Exact;
                return Ok(Some(FoundMatch { id, entry, matched }));
            }
            if let Some(found) = self.find_in_group(group, request)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in_group(
        &mut self,
        group: &EntryGroup,
        request: &RestoreRequest<'_>,
    ) -> Result<Option<FoundMatch>> {
        let mut entries = Vec::new();
        for id in self.store.entry_ids(Some(group))? {
            // File names hold only a short digest of the group. The entry itself names it.
            if let Some(entry) = self.read_entry(&id)?.filter(|entry| entry.group == *group) {
                entries.push((id, entry));
            }
        }
        let candidates: Vec<_> = entries
            .iter()
            .map(|(_, entry)| KeyCandidate {
                key: &entry.key,
                created: entry.created,
            })
            .collect();
        let best = key_match::find(&candidates, request.key, request.restore_keys);
        Ok(best.map(|(index, matched)| {
            let (id, entry) = entries.swap_remove(index);
            FoundMatch { id, entry, matched }
        }))
    }

    fn read_entry(&mut self, id: &EntryId) -> Result<Option<Entry>> {
        if self.unusable.contains(id) {
            return Ok(None);
        }
        match self.store.read_entry(id) {
            Err(error) => self.set_aside(id, error).map(|()| None),
            other => other,
        }
    }

    /// Treats an entry as a miss: quarantines it if it is damaged, and leaves it alone if it can't
    /// be read now. Returns other errors.
    pub(super) fn set_aside(&mut self, id: &EntryId, error: Error) -> Result<()> {
        if error.is_damage() {
            self.quarantine(id, &error);
        } else if self.store.is_unreadable(&error) {
            self.unusable.insert(id.clone());
            let advice = error.advice();
            let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
            self.monitor
                .warn(&format!("{error}; entry {id} is a miss this time{advice}"));
        } else {
            return Err(error);
        }
        Ok(())
    }

    fn quarantine(&mut self, id: &EntryId, error: &Error) {
        self.unusable.insert(id.clone());
        let marked = match error {
            Error::Damaged { path, .. } => self.store.mark_suspect(path),
            _ => Ok(()),
        };
        let warning = match marked.and_then(|()| self.store.quarantine(id)) {
            Ok(()) => format!("{error}; entry {id} is quarantined and treated as a miss"),
            Err(other) => format!("{error}; entry {id} is treated as a miss ({other})"),
        };
        self.monitor.warn(&warning);
    }
}
