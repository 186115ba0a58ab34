//! Parsers of `/proc/self/{mountinfo,cgroup,uid_map,status,net/dev}`.
//!
//! These are pure functions over bytes: paths in these files need not be UTF-8. None of these files
//! proves which container this is. In the network namespace of another container
//! (`NetworkMode=container:ID`, as nektos/act starts its actions) the mounts of `/etc/hostname` and
//! `/etc/hosts` contain the id of that other container. So ids found here are only candidates.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A line of mountinfo, proc(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The directory of the filesystem that is mounted (field 4).
    pub(super) root: PathBuf,
    /// Where it is mounted (field 5).
    pub(super) point: PathBuf,
    pub(super) fs_type: String,
    /// The options of the filesystem, separated by commas.
    pub(super) super_options: Vec<u8>,
}

/// Parses a mountinfo file. Skips invalid lines.
pub fn parse_mountinfo(text: &[u8]) -> Vec<MountInfo> {
    text.split(|byte| *byte == b'\n')
        .filter_map(parse_mount_line)
        .collect()
}

fn parse_mount_line(line: &[u8]) -> Option<MountInfo> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    // Between field 6 and the separator there is any number of optional fields.
    let dash = fields.iter().position(|field| *field == b"-")?;
    Some(MountInfo {
        root: unescape(fields.get(3)?),
        point: unescape(fields.get(4)?),
        fs_type: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
        super_options: fields.get(dash + 3)?.to_vec(),
    })
}

/// Decodes the octal escapes of the kernel (`\040` for a space).
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(*first);
            rest = after;
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

/// The writable layer of this container's root, if the root is an overlay. It is unique to the
/// container, even if the container shares namespaces with others.
pub(super) fn upper_dir(mounts: &[MountInfo]) -> Option<PathBuf> {
    let root = mounts
        .iter()
        .rfind(|mount| mount.point == Path::new("/") && mount.fs_type == "overlay")?;
    let upper = root
        .super_options
        .split(|byte| *byte == b',')
        .find_map(|option| option.strip_prefix(b"upperdir="))?;
    Some(unescape(upper))
}

/// Whether `path` is on a mount other than the container's root and the mounts that every container
/// has.
pub(super) fn is_mounted(mounts: &[MountInfo], path: &Path) -> bool {
    let covering = mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count());
    let own = ["/dev", "/proc", "/sys"];
    covering.is_some_and(|mount| {
        mount.point != Path::new("/")
            && !own
                .iter()
                .any(|directory| mount.point.starts_with(directory))
    })
}

/// Whether these files belong to a process in a container. `marker` tells whether an engine's
/// marker file exists (`/.dockerenv`). It also exists on machines that were made from an image, so
/// it is no proof by itself.
pub(super) fn is_container(cgroup: &[u8], mounts: &[MountInfo], marker: bool) -> bool {
    !container_ids(cgroup, mounts, b"").is_empty() || (marker && upper_dir(mounts).is_some())
}

/// The container ids in these files, without duplicates, most likely first.
pub(super) fn container_ids(cgroup: &[u8], mounts: &[MountInfo], hostname: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    // With nested engines the innermost id is the last of a line.
    for line in cgroup.split(|byte| *byte == b'\n') {
        ids.extend(hex_runs(line, 64).into_iter().rev());
    }
    let network_files = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];
    for mount in mounts.iter().filter(|mount| {
        network_files
            .iter()
            .any(|file| mount.point == Path::new(file))
    }) {
        ids.extend(hex_runs(mount.root.as_os_str().as_bytes(), 64));
    }
    ids.extend(hex_runs(hostname.trim_ascii(), 12));
    remove_duplicates(&mut ids);
    ids
}

/// Keeps the first of equal ids, in their order.
fn remove_duplicates(ids: &mut Vec<String>) {
    let mut seen = Vec::new();
    ids.retain(|id| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
}

/// The runs of exactly `length` lower-case hexadecimal digits in `text`.
fn hex_runs(text: &[u8], length: usize) -> Vec<String> {
    text.split(|byte| !byte.is_ascii_digit() && !(b'a'..=b'f').contains(byte))
        .filter(|run| run.len() == length)
        .map(|run| String::from_utf8_lossy(run).into_owned())
        .collect()
}

/// The uids of this user namespace and their uids outside, `user_namespaces(7)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidMap {
    /// First uid inside, first uid outside, length.
    ranges: Vec<(u32, u32, u32)>,
}

impl UidMap {
    pub fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            Some((
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
            ))
        };
        Self {
            ranges: text.lines().filter_map(range).collect(),
        }
    }

    /// Whether all uids are the same inside and outside, as without a user namespace.
    pub(super) fn is_identity(&self) -> bool {
        self.ranges
            .iter()
            .all(|(inside, outside, _)| inside == outside)
    }

    /// The uid outside for a uid inside.
    pub(super) fn outside(&self, uid: u32) -> u32 {
        let range = self
            .ranges
            .iter()
            .find(|(inside, _, count)| uid >= *inside && uid - inside < *count);
        range.map_or(uid, |(inside, outside, _)| outside + (uid - inside))
    }
}

/// What `/proc/self/{status,net/dev}` show beyond the rights of an ordinary process without a
/// network, in words: capabilities, a way to new privileges, network interfaces.
pub(super) fn excess_rights(status: &[u8], network: &[u8]) -> Vec<String> {
    let [status, network] = [status, network].map(String::from_utf8_lossy);
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let interfaces = network
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let mut found = Vec::new();
    if field("CapEff:").bytes().any(|digit| digit != b'0') {
        found.push("it has capabilities".to_owned());
    }
    if field("NoNewPrivs:") != "1" {
        found.push("it can gain privileges".to_owned());
    }
    for interface in interfaces.filter(|name| *name != "lo") {
        found.push(format!("it has the network interface {interface}"));
    }
    found
}

/// Whether a process label (`/proc/self/attr/current`) is that of an `SELinux` container. Labels of
/// `AppArmor` are in the same file.
pub(super) fn is_selinux_label(label: &[u8]) -> bool {
    let label = String::from_utf8_lossy(label);
    label.split(':').count() >= 4
        && label
            .split(':')
            .nth(2)
            .is_some_and(|kind| kind.ends_with("_t"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

    fn container() -> Vec<MountInfo> {
        let text = format!(
            "607 506 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/var/lib/docker/overlay2/ab/diff,workdir=/w\n\
             608 607 0:54 / /proc rw - proc proc rw\n\
             609 607 0:55 / /dev rw - tmpfs tmpfs rw\n\
             610 607 254:0 /home/run\\040ner/_work/_temp /github/runner_temp rw - ext4 /dev/vda rw\n\
             611 607 254:0 /var/lib/docker/containers/{OTHER}/hostname /etc/hostname rw - ext4 /dev/vda rw\n\
             garbage\n"
        );
        parse_mountinfo(text.as_bytes())
    }

    #[test]
    fn mountinfo_has_roots_mount_points_and_the_upper_directory() {
        let mounts = container();
        assert_eq!(mounts.len(), 5);
        assert_eq!(mounts[3].root, Path::new("/home/run ner/_work/_temp"));
        assert_eq!(
            upper_dir(&mounts).unwrap(),
            Path::new("/var/lib/docker/overlay2/ab/diff")
        );
        assert_eq!(upper_dir(&mounts[1..]), None);
    }

    #[test]
    fn only_real_mounts_count_as_mounted() {
        let mounts = container();
        for (path, mounted) in [
            ("/github/runner_temp", true),
            ("/github/runner_temp/deep/er", true),
            ("/github/runner_temporary", false),
            ("/tmp/runner-cache", false),
            ("/dev/shm/x", false),
            ("/", false),
        ] {
            assert_eq!(is_mounted(&mounts, Path::new(path)), mounted, "{path}");
        }
    }

    #[test]
    fn ids_of_the_cgroup_come_before_those_of_a_shared_network() {
        let cgroup = format!("12:pids:/docker/{OTHER}/docker/{ID}\n1:name=x:/docker/{ID}\n");
        let ids = container_ids(cgroup.as_bytes(), &container(), b"0123456789ab\n");
        assert_eq!(ids, [ID, OTHER, "0123456789ab"]);
        assert_eq!(
            container_ids(b"0::/\n", &[], b"build-host\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_marker_file_alone_does_not_make_a_container() {
        let machine = parse_mountinfo(b"25 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
        let cgroup = format!("1:name=x:/docker/{ID}\n");
        assert!(!is_container(b"0::/init.scope\n", &machine, true));
        assert!(is_container(cgroup.as_bytes(), &machine, false));
        assert!(is_container(b"0::/\n", &container(), false));
        let bare = &container()[..1];
        assert_eq!(
            (
                is_container(b"0::/\n", bare, true),
                is_container(b"0::/\n", bare, false)
            ),
            (true, false)
        );
    }

    #[test]
    fn a_uid_map_translates_uids() {
        let plain = UidMap::parse("         0          0 4294967295\n");
        assert!(plain.is_identity());
        assert_eq!(plain.outside(1001), 1001);
        let rootless = UidMap::parse("0 1001 1\n1 100000 65536\n");
        assert!(!rootless.is_identity());
        assert_eq!(
            (
                rootless.outside(0),
                rootless.outside(1),
                rootless.outside(1001)
            ),
            (1001, 100_000, 101_000)
        );
        assert_eq!(UidMap::parse("nonsense").outside(7), 7);
    }

    #[test]
    fn rights_beyond_those_of_a_helper_are_named() {
        let confined = b"Name:\tmain\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n";
        let network = b"Inter-| Receive\n face |bytes\n    lo: 0 0\n";
        assert_eq!(excess_rights(confined, network), Vec::<String>::new());
        let rights = b"CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\n";
        let network = b" face |bytes\n  lo: 0\n  eth0: 12 0\n";
        assert_eq!(
            excess_rights(rights, network),
            [
                "it has capabilities",
                "it can gain privileges",
                "it has the network interface eth0"
            ]
        );
    }

    #[test]
    fn labels_of_apparmor_are_not_those_of_selinux() {
        for (label, expected) in [
            (&b"system_u:system_r:container_t:s0:c1,c2\0"[..], true),
            (b"docker-default (enforce)\n", false),
            (b"unconfined\n", false),
            (b"", false),
        ] {
            assert_eq!(is_selinux_label(label), expected);
        }
    }
}
