//! What a scan keeps of the `stat` of each leaf.

use serde::{Deserialize, Serialize};

use crate::fs::{Stat, Timestamp};
use crate::tree::stamp::Inode;

/// The length of a block in the result of `stat(2)`, in bytes.
const BLOCK: u64 = 512;

/// The `stat` of a leaf without what the leaf itself has: its mode and its modification time. Large
/// trees have one for each file, so it is kept small.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LeafStat {
    pub device: u64,
    pub inode: u64,
    changed_seconds: i64,
    changed_nanoseconds: u32,
    blocks: u32,
    /// The length in bytes, including holes.
    pub size: u64,
    /// How many names the file has.
    pub links: u32,
    pub uid: u32,
}

impl LeafStat {
    /// The last change of contents, mode, links or attributes.
    pub fn ctime(&self) -> Timestamp {
        Timestamp {
            seconds: self.changed_seconds,
            nanoseconds: self.changed_nanoseconds,
        }
    }

    /// The disk usage in bytes; not more than 2 TiB.
    pub fn allocated(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }
}

impl From<&Stat> for LeafStat {
    fn from(stat: &Stat) -> Self {
        Self {
            device: stat.device,
            inode: stat.inode,
            changed_seconds: stat.ctime.seconds,
            changed_nanoseconds: stat.ctime.nanoseconds,
            blocks: u32::try_from(stat.allocated / BLOCK).unwrap_or(u32::MAX),
            size: stat.size,
            // No filesystem permits as many.
            links: u32::try_from(stat.links).unwrap_or(u32::MAX),
            uid: stat.uid,
        }
    }
}

impl From<&LeafStat> for Inode {
    fn from(stat: &LeafStat) -> Self {
        Self {
            device: stat.device,
            number: stat.inode,
            ctime: stat.ctime(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_what_the_stat_has() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1; 5000]).unwrap();
        let stat = crate::fs::files::stat(file.path()).unwrap().unwrap();
        let leaf = LeafStat::from(&stat);
        assert_eq!(
            (leaf.device, leaf.inode, leaf.ctime()),
            (stat.device, stat.inode, stat.ctime)
        );
        assert_eq!((leaf.size, leaf.allocated()), (5000, stat.allocated));
        assert_eq!((leaf.links, leaf.uid), (1, stat.uid));
        assert_eq!(size_of::<LeafStat>(), 48);
    }
}
