//! Which entries a command is about: filters, ids, and how entries are named.

use anyhow::{Result, anyhow, bail};
use clap::Args;

use super::text::one_line;
use super::values::parse_kind;
use crate::fmt::human::git_ref;
use crate::ops::entries::ListedEntry;
use crate::store::key_match::is_same;
use crate::store::{CacheKind, Entry, EntryId};

/// What stands for entries of no repository, in tables and in `--repository`.
const NONE: &str = "-";

#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectionArgs {
    /// Only entries of this repository (`OWNER/NAME`), or of this owner if it shares them; `-` for
    /// entries of no repository
    #[arg(long, value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Only entries of this branch, tag or pull request, such as `main`, `v1.0` or `pull/7`
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// Only entries of this kind: path, registry, git or target; can be given several times
    #[arg(long = "kind", value_name = "KIND", value_parser = parse_kind)]
    kinds: Vec<CacheKind>,
}

impl SelectionArgs {
    pub(super) fn is_everything(&self) -> bool {
        self.repository.is_none() && self.git_ref.is_none() && self.kinds.is_empty()
    }

    pub(super) fn contains(&self, entry: &Entry) -> bool {
        let group = &entry.group;
        let has_ref = |name: &String| *name == group.git_ref || name == git_ref(&group.git_ref);
        self.repository
            .as_ref()
            .is_none_or(|name| name.eq_ignore_ascii_case(repository(entry)))
            && self.git_ref.as_ref().is_none_or(has_ref)
            && (self.kinds.is_empty() || self.kinds.contains(&group.kind))
    }

    /// The entries that a user named, each once.
    ///
    /// Errors: a name that no entry has.
    pub(super) fn named<'e>(
        &self,
        entries: &'e [ListedEntry],
        names: &[String],
    ) -> Result<Vec<&'e ListedEntry>> {
        let mut all: Vec<&ListedEntry> = Vec::new();
        for name in names {
            let found = self.find(entries, name);
            if found.is_empty() {
                return Err(self.not_found(name));
            }
            all.extend(found);
        }
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all.dedup_by(|a, b| a.id == b.id);
        Ok(all)
    }

    /// The one entry with an id or a key.
    pub(super) fn only<'e>(
        &self,
        entries: &'e [ListedEntry],
        name: &str,
    ) -> Result<&'e ListedEntry> {
        match self.find(entries, name).as_slice() {
            [] => Err(self.not_found(name)),
            [listed] => Ok(listed),
            several => {
                let ids = ShortIds::of(entries.iter().map(|listed| &listed.id));
                let ids: Vec<String> = several.iter().map(|it| ids.show(&it.id)).collect();
                bail!(
                    "{} entries match {}; name one of them by its ID: {}",
                    several.len(),
                    one_line(name),
                    ids.join(", ")
                )
            }
        }
    }

    /// The entries with an id, or else those with a key.
    fn find<'e>(&self, entries: &'e [ListedEntry], name: &str) -> Vec<&'e ListedEntry> {
        let select = |is_meant: &dyn Fn(&ListedEntry) -> bool| -> Vec<&'e ListedEntry> {
            let selected = entries.iter().filter(|listed| self.contains(&listed.entry));
            selected.filter(|listed| is_meant(listed)).collect()
        };
        let by_id = select(&|listed| is_id(&listed.id.to_string(), name));
        if by_id.is_empty() {
            select(&|listed| is_same(&listed.entry.key, name))
        } else {
            by_id
        }
    }

    fn not_found(&self, name: &str) -> anyhow::Error {
        let name = one_line(name);
        if self.is_everything() {
            anyhow!("no entry {name}; `local-cache list` shows all entries")
        } else {
            anyhow!("no entry {name} among those of --repository, --ref and --kind")
        }
    }
}

/// Whether a user means an entry: `name` has a start of each of the two parts of its id, or a start
/// of the id itself.
fn is_id(id: &str, name: &str) -> bool {
    const MIN_DIGITS: usize = 4;
    let parts = |text: &str| {
        text.split_once('-')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    match (parts(id), parts(name)) {
        (Some((group, key)), Some((group_start, key_start))) => {
            group_start.len() >= MIN_DIGITS
                && key_start.len() >= MIN_DIGITS
                && group.starts_with(&group_start)
                && key.starts_with(&key_start)
        }
        _ => name.len() >= MIN_DIGITS && id.starts_with(name),
    }
}

/// Short ids of the entries of a store: the starts of both parts, as long as none stands for two.
pub(super) struct ShortIds {
    group_digits: usize,
    key_digits: usize,
}

impl ShortIds {
    const DIGITS: usize = 4;

    pub(super) fn of<'e>(ids: impl IntoIterator<Item = &'e EntryId>) -> Self {
        let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
        let lengths = (0..=12).map(|more| Self {
            group_digits: Self::DIGITS + more,
            key_digits: Self::DIGITS + 2 + 2 * more,
        });
        let are_unique = |short: &Self| {
            let mut shown: Vec<String> = ids.iter().map(|id| short.cut(id)).collect();
            shown.sort_unstable();
            shown.windows(2).all(|pair| pair[0] != pair[1])
        };
        lengths.into_iter().find(are_unique).unwrap_or(Self {
            group_digits: usize::MAX,
            key_digits: usize::MAX,
        })
    }

    pub(super) fn show(&self, id: &EntryId) -> String {
        self.cut(&id.to_string())
    }

    fn cut(&self, id: &str) -> String {
        let (group, key) = id.split_once('-').unwrap_or((id, ""));
        let start = |text: &str, digits: usize| text[..digits.min(text.len())].to_owned();
        start(group, self.group_digits) + "-" + &start(key, self.key_digits)
    }
}

/// The repository that an entry belongs to; empty if there is none. Entries of the command line
/// and of a shared scope may name it among their paths.
pub(super) fn repository(entry: &Entry) -> &str {
    let group = &entry.group;
    let named = group.paths.iter();
    let mut named = named.filter_map(|path| path.strip_prefix("repository "));
    match named.next() {
        Some(name) => name,
        None if group.scope.is_empty() => NONE,
        None => &group.scope,
    }
}

/// The branch, tag or pull request that an entry belongs to.
pub(super) fn branch(entry: &Entry) -> &str {
    match git_ref(&entry.group.git_ref) {
        "" => NONE,
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fs::Timestamp;
    use crate::store::EntryGroup;

    fn entry(scope: &str, git_ref: &str, kind: CacheKind, key: &str) -> ListedEntry {
        let group = EntryGroup {
            scope: scope.to_owned(),
            git_ref: git_ref.to_owned(),
            kind,
            paths: vec!["data".to_owned()],
        };
        ListedEntry {
            id: group.entry_id(key),
            last_used: Timestamp::default(),
            entry: Entry::empty(group, key),
        }
    }

    fn entries() -> Vec<ListedEntry> {
        vec![
            entry("acme/app", "refs/heads/main", CacheKind::Target, "k1"),
            entry("acme/app", "refs/pull/7/merge", CacheKind::Target, "k1"),
            entry("acme/lib", "refs/tags/v1", CacheKind::Path, "k2"),
            entry("", "", CacheKind::Path, "k1"),
        ]
    }

    fn selection(repository: &str, git_ref: &str, kinds: &[CacheKind]) -> SelectionArgs {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        SelectionArgs {
            repository: given(repository),
            git_ref: given(git_ref),
            kinds: kinds.to_vec(),
        }
    }

    #[test]
    fn every_filter_narrows_the_selection() {
        let count = |selection: &SelectionArgs| {
            let entries = entries();
            let selected = entries.iter().filter(|it| selection.contains(&it.entry));
            selected.count()
        };
        assert_eq!(count(&SelectionArgs::default()), 4);
        assert_eq!(count(&selection("Acme/App", "", &[])), 2);
        assert_eq!(count(&selection("acme/app", "pull/7", &[])), 1);
        assert_eq!(count(&selection("", "refs/heads/main", &[])), 1);
        assert_eq!(count(&selection("", "v1", &[CacheKind::Target])), 0);
        assert_eq!(
            count(&selection("", "", &[CacheKind::Path, CacheKind::Git])),
            2
        );
        assert_eq!(count(&selection("-", "", &[])), 1);
    }

    #[test]
    fn an_entry_is_named_by_its_id_by_both_starts_of_it_or_by_its_key() {
        let entries = entries();
        let all = SelectionArgs::default();
        let id = entries[2].id.to_string();
        let short = ShortIds::of(entries.iter().map(|listed| &listed.id)).show(&entries[2].id);
        assert_eq!(short.len(), 11);
        for name in [&id, &short, &id[..10], "K2"] {
            assert_eq!(
                all.only(&entries, name).unwrap().id,
                entries[2].id,
                "{name}"
            );
        }
        // A start that fits nearly every entry, or only one part, names none.
        for name in [&id[..3], &format!("{}-", &id[..8]), "k3"] {
            assert!(all.only(&entries, name).is_err(), "{name}");
        }
        let error = all.only(&entries, "k1").unwrap_err().to_string();
        assert!(error.starts_with("3 entries match k1"), "{error}");
        let of_app = selection("acme/app", "main", &[]);
        assert_eq!(of_app.only(&entries, "k1").unwrap().id, entries[0].id);
        let names = ["k1".to_owned(), short];
        assert_eq!(all.named(&entries, &names).unwrap().len(), 4);
    }

    #[test]
    fn short_ids_are_as_long_as_they_must_be() {
        let group = entries()[0].entry.group.clone();
        let ids: Vec<EntryId> = (0..20_000)
            .map(|number| group.entry_id(&number.to_string()))
            .collect();
        let short = ShortIds::of(&ids);
        let shown: BTreeSet<String> = ids.iter().map(|id| short.show(id)).collect();
        assert_eq!(shown.len(), ids.len());
        assert!(short.show(&ids[0]).len() > 11);
        let found = ids
            .iter()
            .filter(|id| is_id(&id.to_string(), &short.show(&ids[0])));
        assert_eq!(found.count(), 1);
    }
}
