//! The remote's URL and its options (pure): `s3://bucket/prefix?endpoint=...&timeout=2m`.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use url::Url;

/// The options, as an error lists them.
const OPTIONS: &str = "endpoint, region, push, timeout, bandwidth, ca-file, sign and trust";
/// How long a restore or a save waits for the remote, unless the URL says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the remote is and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteConfig {
    pub bucket: String,
    /// Without slashes at its ends; may be empty.
    pub prefix: String,
    /// The URL of the server; none for AWS, or what `AWS_ENDPOINT_URL` says.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub push: PushMode,
    /// How long one restore or save may use the remote in all.
    pub timeout: Duration,
    /// The largest average rate of uploads, in bytes per second.
    pub bandwidth: Option<u64>,
    /// Certificates to trust instead of those of the system, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The private key that signs the records of pushes, in PEM.
    pub sign: Option<PathBuf>,
    /// The public keys whose records are used, in PEM; none to use all records.
    pub trust: Option<PathBuf>,
}

/// Whether a save also writes to the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PushMode {
    /// The save ends when the entry is on the remote.
    Wait,
    /// The save ends when the entry is in the store, and a process of its own copies it.
    Background,
    /// The remote is only read.
    Never,
}

impl RemoteConfig {
    /// Parses the text of `--remote`. The error says what is wrong and what is allowed, in one
    /// line without the text itself, which may hold a secret in the wrong place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // Before the URL is parsed: the host of another scheme may be in any script, and the parser has
        // no tables for other scripts.
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("s3") => {}
            Some(scheme) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err(format!(
                    "the remote begins with {scheme}://; only s3://bucket/prefix is supported"
                ));
            }
            _ => {
                return Err("the remote is not a URL; write it like s3://bucket/prefix".to_owned());
            }
        }
        let url = Url::parse(text).map_err(|error| {
            format!("the remote is not a URL ({error}); write it like s3://bucket/prefix")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "the remote has a user or password; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
                    .to_owned(),
            );
        }
        if url.port().is_some() {
            return Err(
                "the remote has a port; name the server with ?endpoint=https://host:port"
                    .to_owned(),
            );
        }
        if url.fragment().is_some() {
            return Err("the remote has a part after `#`; remove it".to_owned());
        }
        let mut config = Self {
            bucket: valid_bucket(url.host_str().unwrap_or_default())?,
            prefix: valid_prefix(url.path())?,
            endpoint: None,
            region: None,
            push: PushMode::Wait,
            timeout: DEFAULT_TIMEOUT,
            bandwidth: None,
            ca_file: None,
            sign: None,
            trust: None,
        };
        let mut seen = Vec::new();
        for (name, value) in url.query_pairs() {
            if seen.contains(&name) {
                return Err(format!("the remote's option {name} is given twice"));
            }
            config.set(&name, &value)?;
            seen.push(name);
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |allowed: &str| format!("the remote's option {name} is {value:?}; {allowed}");
        match name {
            "endpoint" => {
                if !is_server(value) {
                    // The value may hold a password.
                    return Err(
                        "the remote's option endpoint is not a server; write it like https://s3.example:9000"
                            .to_owned(),
                    );
                }
                self.endpoint = Some(value.trim_end_matches('/').to_owned());
            }
            "region" => {
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                if value.is_empty() || !value.bytes().all(is_name) {
                    return Err(wrong("write a name like eu-west-1"));
                }
                self.region = Some(value.to_owned());
            }
            "push" => {
                self.push = match value {
                    "wait" => PushMode::Wait,
                    "background" => PushMode::Background,
                    "never" => PushMode::Never,
                    _ => return Err(wrong("use wait, background or never")),
                };
            }
            "timeout" => {
                self.timeout = humantime::parse_duration(value)
                    .ok()
                    .filter(|timeout| !timeout.is_zero())
                    .ok_or_else(|| wrong("write a duration like 90s or 2m"))?;
            }
            "bandwidth" => {
                let rate = value.parse::<ByteSize>().ok().map(|size| size.as_u64());
                self.bandwidth = Some(
                    rate.filter(|rate| *rate > 0)
                        .ok_or_else(|| wrong("write bytes per second like 50MB"))?,
                );
            }
            "ca-file" | "sign" | "trust" => {
                let path = PathBuf::from(value);
                if !path.is_absolute() {
                    return Err(wrong("write the absolute path of a PEM file"));
                }
                *match name {
                    "ca-file" => &mut self.ca_file,
                    "sign" => &mut self.sign,
                    _ => &mut self.trust,
                } = Some(path);
            }
            _ => {
                return Err(format!(
                    "the remote has no option {name:?}; its options are {OPTIONS}"
                ));
            }
        }
        Ok(())
    }

    /// The remote for messages: without options.
    pub(crate) fn place(&self) -> String {
        match &*self.prefix {
            "" => format!("s3://{}", self.bucket),
            prefix => format!("s3://{}/{prefix}", self.bucket),
        }
    }
}

/// The rules of AWS for names of buckets, which other servers share:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
/// Whether a text is the URL of a server, without anything that does not belong there.
fn is_server(text: &str) -> bool {
    // The parser has no tables for other scripts.
    if !text.is_ascii() {
        return false;
    }
    Url::parse(&text.to_ascii_lowercase()).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn valid_bucket(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    if (3..=63).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{name:?} cannot be the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes are allowed; write the remote like s3://bucket/prefix"
        ))
    }
}

fn valid_prefix(path: &str) -> Result<String, String> {
    let prefix = path.trim_matches('/');
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/' | b'=' | b'+')
    };
    let is_valid = prefix.bytes().all(allowed)
        && (prefix.is_empty()
            || prefix
                .split('/')
                .all(|part| !matches!(part, "" | "." | "..")));
    if is_valid && prefix.len() <= 256 {
        Ok(prefix.to_owned())
    } else {
        Err(format!(
            "{prefix:?} cannot be a prefix on the remote: at most 256 letters, digits and - . _ = + are allowed, in parts between single slashes"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_alone_has_the_defaults() {
        let config = RemoteConfig::parse("s3://my-bucket").unwrap();
        assert_eq!((&*config.bucket, &*config.prefix), ("my-bucket", ""));
        assert_eq!(config.push, PushMode::Wait);
        assert_eq!(config.timeout, DEFAULT_TIMEOUT);
        assert_eq!(config.place(), "s3://my-bucket");
    }

    #[test]
    fn every_option_is_taken() {
        let config = RemoteConfig::parse(
            "s3://my-bucket/ci/cache/?endpoint=https://s3.example:9000/&region=eu-1&push=never&timeout=90s&bandwidth=50MB&ca-file=/etc/ca.pem&sign=/etc/key.pem&trust=/etc/keys.pub",
        )
        .unwrap();
        let expected = RemoteConfig {
            bucket: "my-bucket".into(),
            prefix: "ci/cache".into(),
            endpoint: Some("https://s3.example:9000".into()),
            region: Some("eu-1".into()),
            push: PushMode::Never,
            timeout: Duration::from_secs(90),
            bandwidth: Some(50_000_000),
            ca_file: Some("/etc/ca.pem".into()),
            sign: Some("/etc/key.pem".into()),
            trust: Some("/etc/keys.pub".into()),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        let cases = [
            ("bucket", "not a URL"),
            ("s3:bucket", "not a URL"),
            ("my secret://bucket", "not a URL"),
            ("ws:/r\tX\u{fffd}", "not a URL"),
            ("https://bucket/x", "https://"),
            ("https://XN--\u{c4}/x", "https://"),
            ("s3://b\u{c4}cket", "name of a bucket"),
            ("s3:///prefix", "name of a bucket"),
            ("s3://Bucket", "name of a bucket"),
            ("s3://my-bucket:9000", "?endpoint="),
            ("s3://my-bucket/a//b", "prefix"),
            ("s3://my-bucket/a%20b", "prefix"),
            ("s3://my-bucket/a#b", "`#`"),
            ("s3://my-bucket?endpoint=s3.example:9000", "endpoint"),
            ("s3://my-bucket?endpoint=ftp://s3.example", "endpoint"),
            ("s3://my-bucket?endpoint=https://S3.%C3%84", "endpoint"),
            ("s3://my-bucket?region=", "region"),
            ("s3://my-bucket?push=later", "use wait, background or never"),
            ("s3://my-bucket?timeout=2", "timeout"),
            ("s3://my-bucket?timeout=0s", "timeout"),
            ("s3://my-bucket?bandwidth=0", "bandwidth"),
            ("s3://my-bucket?bandwidth=fast", "bandwidth"),
            ("s3://my-bucket?ca-file=ca.pem", "ca-file"),
            ("s3://my-bucket?sign=key.pem", "sign"),
            ("s3://my-bucket?trust=", "trust"),
            ("s3://my-bucket?region=a&region=b", "twice"),
            ("s3://my-bucket?colour=red", OPTIONS),
        ];
        for (text, expected) in cases {
            let error = RemoteConfig::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_repeated() {
        for text in [
            "s3://me:hunter2@my-bucket",
            "s3://my-bucket?endpoint=https://me:hunter2@s3.example",
        ] {
            let error = RemoteConfig::parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
