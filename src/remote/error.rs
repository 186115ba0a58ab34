//! Why a request to the remote failed, told apart by what the user can do about it.
//!
//! Texts of the server and of `object_store` are searched for known codes and not passed on: they
//! can hold ids of keys and whole XML documents.

use crate::error::Error;

pub(crate) type RemoteResult<T> = std::result::Result<T, RemoteError>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// The server cannot be reached, does not answer in time, or fails.
    #[error("the remote {place} does not work: {reason}")]
    Outage { place: String, reason: String },
    /// An earlier request failed, so this one was not sent.
    #[error("the remote {place} is not used after an earlier failure")]
    Off { place: String },
    #[error("the remote {place} took longer than its timeout of {limit}")]
    TimeUp { place: String, limit: String },
    #[error("the remote {place} has no bucket {bucket}")]
    NoBucket { place: String, bucket: String },
    #[error("the remote {place} refuses the credentials: {reason}")]
    Credentials { place: String, reason: &'static str },
    #[error("no role can be assumed for the remote {place}: {reason}")]
    Role { place: String, reason: &'static str },
    #[error("the remote {place} has a certificate that cannot be trusted: {reason}")]
    Certificate { place: String, reason: &'static str },
    #[error("the remote {place} does not permit to {action}")]
    Forbidden { place: String, action: &'static str },
    #[error(
        "the server's clock differs from this machine's by more than the remote {place} accepts"
    )]
    ClockSkew { place: String },
    #[error("{object} on the remote is missing")]
    Missing { object: String },
    #[error("{object} on the remote is damaged: {reason}")]
    Damaged { object: String, reason: String },
    #[error("{object} on the remote is refused: {reason}")]
    Refused {
        object: String,
        reason: &'static str,
    },
    #[error(
        "{object} on the remote has format version {found}, this local-cache reads up to {supported}"
    )]
    Newer {
        object: String,
        found: u32,
        supported: u32,
    },
    #[error(
        "entry {entry} of the remote needs {needed} in the store, and its filesystem has {free} free"
    )]
    NoSpace {
        entry: String,
        needed: String,
        free: String,
    },
    #[error(
        "entry {entry} is not copied to the remote: branches read it, and this run may concern a pull request"
    )]
    OfBranches { entry: String },
    #[error(
        "entry {entry} is not copied to the remote: another job copies entries of its group, and took too long"
    )]
    OtherPush { entry: String },
    #[error(
        "entry {entry} is not copied to the remote: the option trust is set without sign, so the entry would be refused"
    )]
    Unsigned { entry: String },
    /// The local store failed, or the user interrupted.
    #[error(transparent)]
    Local(#[from] Error),
}

impl RemoteError {
    pub(crate) fn damaged(object: &str, reason: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether one entry or object is to blame, so that others may still be used.
    pub(crate) fn is_of_object(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. }
                | Self::Damaged { .. }
                | Self::Refused { .. }
                | Self::Newer { .. }
                | Self::NoSpace { .. }
                | Self::OfBranches { .. }
                | Self::OtherPush { .. }
                | Self::Unsigned { .. }
        )
    }

    /// Whether the object can never be read again, by any version of this program.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Damaged { .. })
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Outage { .. } | Self::Off { .. } => {
                "check the server and the network; the local cache works without it"
            }
            Self::TimeUp { .. } => "check the network, or raise the option timeout of the remote",
            Self::NoBucket { .. } => "create the bucket, or correct its name in the remote's URL",
            Self::Credentials { .. } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables of a role"
            }
            Self::Role { .. } => {
                "check AWS_ROLE_ARN, and compare the role's trust policy with the token (docs/remote-servers.md)"
            }
            Self::Certificate { .. } => {
                "give the server a valid one, and name that of its CA with the option ca-file"
            }
            Self::Forbidden { .. } => {
                "let the bucket's policy allow it (docs/remote.md), or use push=never to only read"
            }
            Self::ClockSkew { .. } => "synchronize the clock of this machine",
            Self::Missing { .. } | Self::Damaged { .. } => {
                "it counts as a miss; `local-cache remote verify --repair` removes such entries"
            }
            Self::Refused { .. } => {
                "it counts as a miss; push the entry with the option sign, or add the public key of its machine to the file of the option trust"
            }
            Self::Newer { .. } => "update local-cache",
            Self::NoSpace { .. } => {
                "it counts as a miss; free space, or set max-cache-size so that old entries go"
            }
            Self::OfBranches { .. } => {
                "let a run of the branch save it, or run without --repository and --ref"
            }
            Self::OtherPush { .. } => {
                "the next save with this key copies it, or `local-cache remote push`"
            }
            Self::Unsigned { .. } => {
                "name a private key with the option sign, or use push=never to only read"
            }
            Self::Local(_) => "",
        }
    }
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Local(error) => error,
            other => Self::Remote {
                what: other.to_string(),
                advice: other.advice(),
            },
        }
    }
}

/// Where a request went, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTarget<'a> {
    pub(super) place: &'a str,
    pub(super) bucket: &'a str,
    pub(super) object: &'a str,
    /// What the request does, as a verb: `read`, `list`, `write`, `delete`.
    pub(super) action: &'static str,
}

/// Tells the errors of `object_store` apart.
///
/// A missing bucket is `NotFound` to it, like a missing key, and a refused list is `Generic`, like
/// an outage. The codes of S3 in the text tell more:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
pub(super) fn classify(error: &object_store::Error, target: RequestTarget<'_>) -> RemoteError {
    use object_store::Error as Source;
    let text = error.to_string();
    let place = target.place.to_owned();
    let has = |code: &str| text.contains(code);
    if let Some(reason) = role_reason(&text) {
        return RemoteError::Role { place, reason };
    }
    if has("NoSuchBucket") {
        return RemoteError::NoBucket {
            place,
            bucket: target.bucket.to_owned(),
        };
    }
    if has("RequestTimeTooSkewed") || has("RequestExpired") {
        return RemoteError::ClockSkew { place };
    }
    let credentials = [
        ("InvalidAccessKeyId", "the access key is unknown"),
        ("SignatureDoesNotMatch", "the secret key is wrong"),
        ("ExpiredToken", "the session token has expired"),
        ("InvalidToken", "the session token is invalid"),
        ("MissingSecretAccessKey", "the secret key is missing"),
        ("Missing SecretAccessKey", "the secret key is missing"),
        ("Missing AccessKeyId", "the access key is missing"),
        ("169.254.", "none are set, and there is no instance role"),
    ];
    if let Some((_, reason)) = credentials.into_iter().find(|(code, _)| has(code)) {
        return RemoteError::Credentials { place, reason };
    }
    let cause = deepest_cause(error);
    if let Some((_, found)) = cause.split_once("invalid peer certificate: ") {
        return RemoteError::Certificate {
            place,
            reason: certificate_reason(found),
        };
    }
    // The object ends before the range that was asked for.
    if has("status code: 416") || has("but object was only") {
        return RemoteError::damaged(target.object, "it is too short");
    }
    match error {
        Source::NotFound { .. } => RemoteError::Missing {
            object: target.object.to_owned(),
        },
        Source::PermissionDenied { .. } | Source::Unauthenticated { .. } => {
            RemoteError::Forbidden {
                place,
                action: target.action,
            }
        }
        _ if has("AccessDenied") || has("status code: 403") => RemoteError::Forbidden {
            place,
            action: target.action,
        },
        _ => RemoteError::Outage {
            place,
            reason: outage_reason(&cause, &text),
        },
    }
}

/// Why the token of a web identity is not exchanged for credentials. Only the request for that has no
/// address in its error.
fn role_reason(text: &str) -> Option<&'static str> {
    if text.contains("Failed to read token file") {
        return Some("the file of AWS_WEB_IDENTITY_TOKEN_FILE cannot be read");
    }
    let has_status = |status| text.contains(&format!("status code: {status}"));
    if !text.contains("performing POST REDACTED") || !(has_status(400) || has_status(403)) {
        return None;
    }
    Some(if text.contains("ExpiredToken") {
        "the token of AWS_WEB_IDENTITY_TOKEN_FILE has expired"
    } else {
        "the token of AWS_WEB_IDENTITY_TOKEN_FILE is refused"
    })
}

/// The last source of an error, which says what happened on the socket.
fn deepest_cause(error: &object_store::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Why rustls refuses a certificate, by the text of its error.
fn certificate_reason(found: &str) -> &'static str {
    let reasons = [
        ("UnknownIssuer", "no CA that is trusted here signed it"),
        (
            "CaUsedAsEndEntity",
            "it is the certificate of a CA (CA:TRUE), and not one of a server",
        ),
        ("expired", "it has expired"),
        ("not valid for name", "it is for another host name"),
        ("not valid yet", "it is not valid yet"),
    ];
    let known = reasons.into_iter().find(|(text, _)| found.contains(text));
    known.map_or("it is not valid", |(_, reason)| reason)
}

/// What is known of an outage, in a few words.
fn outage_reason(cause: &str, text: &str) -> String {
    if let Some((_, status)) = text.split_once("status code: ") {
        let status = status.split(':').next().unwrap_or_default();
        return format!("the server answered {}", status.trim());
    }
    let reason = cause.split(" (os error").next().unwrap_or_default();
    // An address can hold a token of the service that gives out credentials.
    if reason.contains("://") {
        return "a request failed".to_owned();
    }
    let mut short: String = reason.chars().take(120).collect();
    short.retain(|character| !character.is_control());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    fn message(error: &object_store::Error) -> String {
        let target = RequestTarget {
            place: "s3://cache/ci",
            bucket: "cache",
            object: "branch/x",
            action: "list",
        };
        Error::from(classify(error, target)).with_advice()
    }

    #[test]
    fn known_codes_are_told_apart_and_texts_of_the_server_are_not_shown() {
        let cases = [
            ("<Code>NoSuchBucket</Code>", "has no bucket cache; create"),
            (
                "<Code>SignatureDoesNotMatch</Code>",
                "the secret key is wrong; set AWS_",
            ),
            ("<Code>AccessDenied</Code>", "does not permit to list"),
            (
                "Failed to read token file '/run/token': No such file",
                "TOKEN_FILE cannot be read; check AWS_ROLE_ARN",
            ),
            (
                "Error performing POST REDACTED in 3ms - Server returned non-2xx status code: 403 \
                 Forbidden: <Code>AccessDenied</Code>",
                "TOKEN_FILE is refused; check AWS_ROLE_ARN",
            ),
            (
                "Error performing POST REDACTED in 3ms - Server returned non-2xx status code: 400 \
                 Bad Request: <Code>ExpiredTokenException</Code>",
                "TOKEN_FILE has expired; check AWS_ROLE_ARN",
            ),
            ("<Code>RequestTimeTooSkewed</Code>", "synchronize the clock"),
            (
                "Server returned non-2xx status code: 503 Service Unavailable: <xml>",
                "the server answered 503 Service Unavailable; check the server",
            ),
            (
                "Connection refused (os error 111)",
                "Connection refused; check",
            ),
            (
                "Server returned non-2xx status code: 416 Requested Range Not Satisfiable: <xml>",
                "branch/x on the remote is damaged: it is too short",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "no CA that is trusted here signed it; give the server",
            ),
            (
                "Wanted range starting at 20, but object was only 10 bytes long",
                "branch/x on the remote is damaged: it is too short",
            ),
        ];
        for (text, expected) in cases {
            let message = message(&generic(text));
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains('<'), "{text}: {message}");
        }
    }
}
