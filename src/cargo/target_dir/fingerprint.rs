//! Cargo's fingerprint files.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

/// What cargo compares with the disk to find out whether a unit is fresh (cargo,
/// `LocalFingerprint`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalCheck {
    /// The modification times of the sources that a file lists, with that of the file. The path is
    /// relative to the target directory.
    DepInfo(PathBuf),
    /// The modification times of paths, with that of a build script's output. The output is
    /// relative to the target directory, the paths to the package.
    RerunIfChanged {
        output: PathBuf,
        paths: Vec<PathBuf>,
    },
    /// The contents of the sources (`build.fingerprint = "content"`). Times do not count.
    Checksums,
    /// The value of an environment variable.
    RerunIfEnvChanged,
    /// A text: the version of a downloaded package, or the newest file of a package with a path.
    Precalculated(String),
    /// Unknown to this program.
    Unknown,
}

impl LocalCheck {
    fn parse(value: &Value) -> Self {
        let known = || {
            let (kind, content) = value.as_object()?.iter().next()?;
            let path = |name: &str| Some(PathBuf::from(content.get(name)?.as_str()?));
            match kind.as_str() {
                "CheckDepInfo" => match content.get("checksum") {
                    Some(Value::Bool(true)) => Some(Self::Checksums),
                    Some(Value::Bool(false)) | None => Some(Self::DepInfo(path("dep_info")?)),
                    Some(_) => None,
                },
                "RerunIfChanged" => {
                    let paths = content.get("paths")?.as_array()?.iter();
                    let paths: Option<Vec<PathBuf>> =
                        paths.map(|path| path.as_str().map(PathBuf::from)).collect();
                    Some(Self::RerunIfChanged {
                        output: path("output")?,
                        paths: paths?,
                    })
                }
                "RerunIfEnvChanged" => Some(Self::RerunIfEnvChanged),
                "Precalculated" => Some(Self::Precalculated(content.as_str()?.to_owned())),
                _ => None,
            }
        };
        known().unwrap_or(Self::Unknown)
    }
}

/// The inputs of a unit's fingerprint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// The fingerprints of dependencies.
    pub(super) dependencies: Vec<u64>,
    pub(super) local: Vec<LocalCheck>,
}

impl Fingerprint {
    /// `None` if cargo did not write it.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Json {
            /// Package number, name, whether it is public, fingerprint.
            deps: Vec<(u64, String, bool, u64)>,
            #[serde(default)]
            local: Vec<Value>,
        }
        let Json { deps, local } = serde_json::from_slice(json).ok()?;
        Some(Self {
            dependencies: deps.into_iter().map(|(.., number)| number).collect(),
            local: local.iter().map(LocalCheck::parse).collect(),
        })
    }
}

/// Cargo writes the bytes of the number as hexadecimal digits, the lowest byte first.
pub(super) fn parse_number(hex: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(hex)
        .ok()
        .filter(|hex| hex.len() == 16)?;
    Some(u64::from_str_radix(digits, 16).ok()?.swap_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_numbers_with_the_lowest_byte_first() {
        assert_eq!(
            parse_number(b"0100000000000080"),
            Some(0x8000_0000_0000_0001)
        );
        assert_eq!(parse_number(b""), None);
    }

    #[test]
    fn what_cargo_compares_is_read_and_the_rest_is_unknown() {
        let json = br#"{"deps":[[7,"b",false,42]],"local":[
            {"CheckDepInfo":{"dep_info":"debug/.fingerprint/a/dep-lib-a","checksum":false}},
            {"CheckDepInfo":{"dep_info":"debug/.fingerprint/a/dep-lib-a","checksum":true}},
            {"RerunIfChanged":{"output":"debug/build/a/output","paths":["build.rs","../x"]}},
            {"RerunIfEnvChanged":{"var":"X","val":null}},
            {"Precalculated":"1.0.0"},
            {"Other":1}, 3]}"#;
        let fingerprint = Fingerprint::parse(json).unwrap();
        assert_eq!(fingerprint.dependencies, [42]);
        assert_eq!(
            fingerprint.local,
            [
                LocalCheck::DepInfo("debug/.fingerprint/a/dep-lib-a".into()),
                LocalCheck::Checksums,
                LocalCheck::RerunIfChanged {
                    output: "debug/build/a/output".into(),
                    paths: vec!["build.rs".into(), "../x".into()],
                },
                LocalCheck::RerunIfEnvChanged,
                LocalCheck::Precalculated("1.0.0".to_owned()),
                LocalCheck::Unknown,
                LocalCheck::Unknown,
            ]
        );
        assert_eq!(Fingerprint::parse(b"{}"), None);
    }
}
