//! Serializes paths of any bytes.
//!
//! serde refuses a path that is not UTF-8. With `#[serde(with = "serde_path")]` such a path becomes
//! a list of bytes, and any other path a string.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes(std::borrow::Cow<'a, [u8]>),
}

fn form(path: &Path) -> Form<'_> {
    path.to_str().map_or_else(
        || Form::Bytes(path.as_os_str().as_bytes().into()),
        |text| Form::Text(text.into()),
    )
}

fn path(form: Form<'_>) -> PathBuf {
    match form {
        Form::Text(text) => PathBuf::from(text.into_owned()),
        Form::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes.into_owned())),
    }
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    form(path).serialize(serializer)
}

/// Errors: a NUL byte, which no path can contain.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    checked(path(Form::deserialize(deserializer)?))
}

fn checked<E: serde::de::Error>(path: PathBuf) -> Result<PathBuf, E> {
    if path.as_os_str().as_bytes().contains(&0) {
        Err(E::custom("a path with a NUL byte"))
    } else {
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Request {
        #[serde(with = "super")]
        root: PathBuf,
        #[serde(with = "super")]
        path: PathBuf,
    }

    #[test]
    fn paths_of_any_bytes_survive_serialization() {
        let odd = PathBuf::from(OsString::from_vec(b"/a/\xff\n\"".to_vec()));
        let request = Request {
            root: odd,
            path: PathBuf::from("/plain ü"),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert!(text.contains("\"/plain ü\""), "{text}");
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        assert!(
            serde_json::from_str::<Request>("{\"root\":\"a\\u0000\",\"path\":\"/a\"}").is_err()
        );
    }
}
