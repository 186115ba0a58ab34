//! The files with keys: PEM as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write
//! it.

use std::path::Path;

use ring::signature::Ed25519KeyPair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::config::RemoteConfig;
use super::owner::{Protection, check_owner};
use super::signature::{PublicKey, RecordKeys};
use crate::error::{Error, Result};
use crate::fs::{effective_uid, files};

/// In bytes; hundreds of keys have less.
const LARGEST_FILE: u64 = 64 << 10;
/// What comes before the 32 bytes of a public key (RFC 8410, section 4).
const PUBLIC_KEY_HEADER: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl RecordKeys {
    /// Reads the keys that the options `sign` and `trust` name.
    ///
    /// Errors: a file cannot be read, has no keys, or is open to others. The messages show nothing of
    /// what a file has.
    pub(crate) fn read(config: &RemoteConfig) -> Result<Self> {
        let signer = config.sign.as_deref().map(private_key).transpose()?;
        let trusted = config.trust.as_deref().map(public_keys).transpose()?;
        Ok(Self::new(signer, trusted))
    }
}

fn private_key(path: &Path) -> Result<Ed25519KeyPair> {
    let pem = read(path, "sign", Protection::Reading)?;
    PrivatePkcs8KeyDer::from_pem_slice(&pem)
        .ok()
        .and_then(|der| {
            // OpenSSL writes no public key next to the private one, so there is nothing to compare.
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok()
        })
        .ok_or_else(|| {
            Error::invalid(format!(
                "{} has no private key of the kind ed25519 without a password; write one with `openssl genpkey -algorithm ed25519`",
                path.display()
            ))
        })
}

fn public_keys(path: &Path) -> Result<Vec<PublicKey>> {
    let pem = read(path, "trust", Protection::Writing)?;
    let keys: Option<Vec<PublicKey>> = SubjectPublicKeyInfoDer::pem_slice_iter(&pem)
        .map(|der| {
            let der = der.ok()?;
            der.strip_prefix(&PUBLIC_KEY_HEADER)?.try_into().ok()
        })
        .collect();
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        Error::invalid(format!(
            "{} needs public keys of the kind ed25519 and no others; write them with `openssl pkey -in KEYFILE -pubout`",
            path.display()
        ))
    })
}

fn read(path: &Path, option: &str, protection: Protection) -> Result<Vec<u8>> {
    let (bytes, stat) = files::read_with_stat(path, LARGEST_FILE)?.ok_or_else(|| {
        Error::invalid(format!(
            "{} does not exist; create it, or correct the remote's option {option}",
            path.display()
        ))
    })?;
    check_owner(path, &stat, protection, effective_uid())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private key of RFC 8410, section 10.3, in the form of `openssl genpkey -algorithm ed25519`.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    /// Its public key (section 10.1), in the form of `openssl pkey -pubout`.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    /// Of the kind X25519, by `openssl pkey -pubout`.
    const OTHER_KIND: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAJxPFAJu3pyobbaUjCFgjx4ZziPvo/+1iY/Ju/jgu7gk=\n-----END PUBLIC KEY-----\n";

    fn keys(sign: Option<(u32, &str)>, trust: Option<(u32, &str)>) -> Result<RecordKeys> {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, contents: Option<(u32, &str)>| {
            contents.map(|(mode, text)| {
                let path = dir.path().join(name);
                files::write_new(&path, mode, text.as_bytes()).unwrap();
                path
            })
        };
        RecordKeys::read(&RemoteConfig {
            sign: file("sign", sign),
            trust: file("trust", trust),
            ..RemoteConfig::parse("s3://my-bucket").unwrap()
        })
    }

    #[test]
    fn keys_of_openssl_are_a_pair() {
        let several = format!("a comment\n{PUBLIC}{PUBLIC}");
        for public in [PUBLIC, &*several] {
            let keys = keys(Some((0o600, PRIVATE)), Some((0o644, public))).unwrap();
            assert!(!keys.refuses_own());
        }
    }

    #[test]
    fn a_private_key_that_others_may_read_is_refused_and_nothing_of_it_is_shown() {
        let secret = PRIVATE.lines().nth(1).unwrap();
        let broken = PRIVATE.replace('A', "B");
        let cases = [
            (0o640, PRIVATE, "other users may read it"),
            (0o604, PRIVATE, "other users may read it"),
            (0o600, PUBLIC, "has no private key"),
            (0o600, &*broken, "has no private key"),
            (0o600, secret, "has no private key"),
        ];
        for (mode, text, expected) in cases {
            let error = keys(Some((mode, text)), None).err().unwrap().with_advice();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
            assert!(!error.contains(&secret[..8]), "{error}");
        }
    }

    #[test]
    fn a_file_of_trusted_keys_has_no_others_and_is_closed_for_writing() {
        let mixed = format!("{PUBLIC}{OTHER_KIND}");
        let cases = [
            (0o664, PUBLIC, "other users may write to it"),
            (0o644, "", "needs public keys"),
            (0o644, PRIVATE, "needs public keys"),
            (0o644, OTHER_KIND, "needs public keys"),
            (0o644, &*mixed, "needs public keys"),
        ];
        for (mode, text, expected) in cases {
            let error = keys(None, Some((mode, text))).err().unwrap().with_advice();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_option() {
        let config = RemoteConfig::parse("s3://my-bucket?trust=/nowhere/keys.pem").unwrap();
        let error = RecordKeys::read(&config).err().unwrap().to_string();
        assert!(
            error.contains("/nowhere/keys.pem") && error.contains("option trust"),
            "{error}"
        );
    }
}
