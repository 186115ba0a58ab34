//! What every helper container has in common.

/// Where a helper sees the host's root directory.
pub(crate) const HOST_ROOT: &str = "/host";

/// Host directories that a helper can't see: processes, devices, sockets, and the files of other
/// containers.
pub(crate) const HIDDEN_DIRS: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/var/lib/docker"];

/// The oldest engine API that supports every option of a helper. `MaskedPaths` came last, with
/// Docker 18.09.
pub(crate) const MIN_API_VERSION: &str = "1.38";
