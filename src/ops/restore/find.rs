//! Finding the entry for a key, without those that turn out to be damaged or unreadable.
//!
//! The order is the same with a second tier: the key itself in the store, then everything that the
//! two tiers have of the group by the rules of [`key_match`]. So an exact match that the store has
//! never asks the second tier, and an exact match of the second tier comes before any prefix.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::ops::restore::request::RestoreRequest;
use crate::ops::second_tier::LocalTier;
use crate::store::key_match::{self, KeyCandidate, KeyMatch};
use crate::store::lock::SharedLock;
use crate::store::{Entry, EntryGroup, EntryId, EntryKey, KeepKeys, Store};

pub(super) struct FoundMatch {
    pub(super) id: EntryId,
    pub(super) entry: Entry,
    pub(super) matched: KeyMatch,
    /// Whether the second tier had it, and the store did not.
    pub(super) from_second_tier: bool,
    /// Whether the store has it now. A look-up does not copy it.
    pub(super) is_in_store: bool,
}

/// Looks up entries and quarantines the damaged ones.
pub(super) struct EntryFinder<'a> {
    store: &'a Store,
    shared_lock: &'a SharedLock,
    monitor: &'a dyn Monitor,
    /// Entries that can't be read now, and damaged ones that could not be quarantined. They stay
    /// listed, and must not be found again. Nor does the second tier replace them.
    unusable: HashSet<EntryId>,
    /// Whether all files of a damaged entry were read.
    has_looked_for_damage: bool,
    /// Entries of the second tier that were chosen. Each is tried once: it may be damaged whenever it
    /// is copied.
    tried: Vec<Entry>,
}

impl<'a> EntryFinder<'a> {
    pub(super) fn new(
        store: &'a Store,
        shared_lock: &'a SharedLock,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            store,
            shared_lock,
            monitor,
            unusable: HashSet::new(),
            has_looked_for_damage: false,
            tried: Vec::new(),
        }
    }

    /// The best entry for the request; `None` on a miss.
    pub(super) fn find(&mut self, request: &RestoreRequest<'_>) -> Result<Option<FoundMatch>> {
        for group in request.groups {
            // The usual case reads one file instead of every entry of the group.
            let id = group.entry_id(request.key);
            if let Some(entry) = self.read_entry(&id)? {
                return Ok(Some(FoundMatch {
                    id,
                    entry,
                    matched: KeyMatch::Exact,
                    from_second_tier: false,
                    is_in_store: true,
                }));
            }
            if request.options.exact_only {
                continue;
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
        let (store, lock) = (self.store, self.shared_lock);
        let keep = KeepKeys::IfAny(lock);
        let mut keys = store.entry_keys(group, keep, |id| self.read_entry(id))?;
        loop {
            let more = self.entries_of_second_tier(group, request, &keys)?;
            let candidates: Vec<_> = keys
                .iter()
                .map(EntryKey::as_candidate)
                .chain(more.iter().map(|entry| KeyCandidate {
                    key: &entry.key,
                    created: entry.created,
                }))
                .collect();
            let best = key_match::find(&candidates, request.key, request.restore_keys);
            let Some((index, matched)) = best else {
                return Ok(None);
            };
            if index < keys.len() {
                // Known keys are read from another file: the entry itself may be damaged or gone, or
                // somebody put an older one into its file.
                let known = keys.swap_remove(index);
                let entry = self.read_entry(&known.id)?;
                match entry.filter(|entry| entry.group == *group) {
                    Some(entry) if entry.created < known.created => keys.push(EntryKey {
                        created: entry.created,
                        ..known
                    }),
                    Some(entry) => {
                        return Ok(Some(FoundMatch {
                            id: known.id,
                            entry,
                            matched,
                            from_second_tier: false,
                            is_in_store: true,
                        }));
                    }
                    None => {}
                }
                continue;
            }
            let chosen = &more[index - keys.len()];
            self.tried.push(chosen.clone());
            if let Some(entry) = self.fetch(chosen, request)? {
                return Ok(Some(FoundMatch {
                    id: entry.id(),
                    entry,
                    matched,
                    from_second_tier: true,
                    is_in_store: !request.options.lookup_only,
                }));
            }
        }
    }

    /// What the second tier has of a group besides `local`, without what was tried.
    fn entries_of_second_tier(
        &self,
        group: &EntryGroup,
        request: &RestoreRequest<'_>,
        local: &[EntryKey],
    ) -> Result<Vec<Entry>> {
        let Some(tier) = request.second_tier else {
            return Ok(Vec::new());
        };
        let mut entries = tier.entries(self.local(), group, request.key)?;
        entries.retain(|entry| {
            let id = entry.id();
            let has_newer = |it: &EntryKey| it.id == id && it.created >= entry.created;
            !local.iter().any(has_newer)
                && !self.unusable.contains(&id)
                && !self.tried.contains(entry)
        });
        Ok(entries)
    }

    /// Copies an entry from the second tier, except for a look-up. `None` if that failed.
    fn fetch(&mut self, entry: &Entry, request: &RestoreRequest<'_>) -> Result<Option<Entry>> {
        if request.options.lookup_only {
            return Ok(Some(entry.clone()));
        }
        let is_fetched = match request.second_tier {
            Some(tier) => tier.fetch(self.local(), entry)?,
            None => false,
        };
        if is_fetched {
            self.read_entry(&entry.id())
        } else {
            Ok(None)
        }
    }

    fn local(&self) -> LocalTier<'a> {
        LocalTier {
            store: self.store,
            lock: self.shared_lock,
            monitor: self.monitor,
        }
    }

    fn read_entry(&mut self, id: &EntryId) -> Result<Option<Entry>> {
        if self.unusable.contains(id) {
            return Ok(None);
        }
        match self.store.read_entry(id) {
            Err(error) => self.set_aside(id, None, error).map(|()| None),
            other => other,
        }
    }

    /// Treats an entry as a miss: quarantines it if it is damaged, and leaves it alone if it can't
    /// be read now. `found` is what was read of it. Returns other errors.
    pub(super) fn set_aside(
        &mut self,
        id: &EntryId,
        found: Option<&Entry>,
        error: Error,
    ) -> Result<()> {
        if error.is_damage() {
            self.quarantine(id, found, &error);
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

    fn quarantine(&mut self, id: &EntryId, found: Option<&Entry>, error: &Error) {
        if let Some(entry) = found {
            self.mark_all_damage(entry);
        }
        let marked = match error {
            Error::Damaged { path, .. } => self.store.mark_suspect(path),
            _ => Ok(()),
        };
        let quarantine = || {
            let lock = self.shared_lock;
            self.store.quarantine_unless_saved(lock, id, found)
        };
        let quarantined = marked.and_then(|()| quarantine());
        if !matches!(quarantined, Ok(true)) {
            // It stays listed.
            self.unusable.insert(id.clone());
        }
        let warning = match quarantined {
            Ok(true) => format!("{error}; entry {id} is quarantined and treated as a miss"),
            Ok(false) => {
                format!("{error}; entry {id} is a miss, and another process saves it again")
            }
            Err(other) => format!("{error}; entry {id} is treated as a miss ({other})"),
        };
        self.monitor.warn(&warning);
    }

    /// A restore finds the first damaged file only, and the next save would reuse the others: after a
    /// power cut, each of them would cost a job. So all files of the first damaged entry are read.
    /// Entries that stand in for it share most of them.
    fn mark_all_damage(&mut self, entry: &Entry) {
        if std::mem::replace(&mut self.has_looked_for_damage, true) {
            return;
        }
        let damaged = self
            .store
            .damaged_files_of(self.shared_lock, entry, self.monitor);
        let marked = damaged.and_then(|damaged| {
            let mut paths = damaged.iter().filter_map(|error| match error {
                Error::Damaged { path, .. } => Some(path),
                _ => None,
            });
            paths.try_for_each(|path| self.store.mark_suspect(path))
        });
        if let Err(error) = marked {
            log::debug!("cannot look for more damage: {error}");
        }
    }
}
