//! Signatures of records: who pushed an entry, also where others can write to the bucket.
//!
//! A signature (ed25519) covers the name of a record and all of its fields. The name has the trust,
//! the scope, the ref, the group, the key and the push; the record names its manifest and segments by
//! digests, and the manifest its contents. So without the private key, nobody can change a byte of
//! what a restore writes, or move an entry to another key, ref or scope.
//!
//! # What remains possible
//!
//! Who may write to the bucket can still
//!
//! - delete and damage objects, and add records until the right ones are not among those that are
//!   read: each is a miss;
//! - bring back an older signed record with its data, or remove the newer ones of a key. What is
//!   restored then is an older entry of the same key;
//! - copy records with their data to another bucket or prefix, where they are valid if the same key
//!   is trusted there. The name begins below the prefix, so that a bucket can be moved;
//! - do all of the above between two requests of a restore, which has no view of a whole bucket.
//!
//! A machine signs what its store has. Who can write to this store, or read the private key, needs
//! no bucket.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, hex};
use crate::error::{Error, Result};

/// What the signature is for, so that no signature of the same key for something else is valid here.
const CONTEXT: &[u8] = b"local-cache record 1";
/// In bytes.
const LENGTH: usize = 64;

/// 64 bytes, in JSON as hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordSignature([u8; LENGTH]);

/// An ed25519 public key.
pub(super) type PublicKey = [u8; 32];

/// The keys of a machine.
#[derive(Default)]
pub(crate) struct RecordKeys {
    signer: Option<Ed25519KeyPair>,
    /// None to accept every record.
    trusted: Option<Vec<PublicKey>>,
}

/// Who signed a record, as far as a machine can tell by its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordAuthor {
    /// A key that the machine trusts.
    Trusted,
    /// The key with which the machine signs, which it does not trust by that alone.
    ThisMachine,
    /// Another key, or the record was altered or moved.
    Other,
    /// The record has no signature.
    Unknown,
}

impl RecordKeys {
    pub(super) fn new(signer: Option<Ed25519KeyPair>, trusted: Option<Vec<PublicKey>>) -> Self {
        Self { signer, trusted }
    }

    /// The signature of a record that is stored under a name. None without a private key.
    pub(crate) fn sign(&self, record: &[u8], name: &str) -> Result<Option<RecordSignature>> {
        let Some(signer) = &self.signer else {
            return Ok(None);
        };
        let signature = signer.sign(&message(record, name));
        let bytes = signature.as_ref().try_into().map_err(Error::defect)?;
        Ok(Some(RecordSignature(bytes)))
    }

    /// Who made the signature of a record that was found under a name.
    pub(crate) fn author(
        &self,
        record: &[u8],
        name: &str,
        signature: Option<&RecordSignature>,
    ) -> RecordAuthor {
        let Some(RecordSignature(signature)) = signature else {
            return RecordAuthor::Unknown;
        };
        let message = message(record, name);
        let is_by = |key: &[u8]| {
            let key = UnparsedPublicKey::new(&ED25519, key);
            key.verify(&message, signature).is_ok()
        };
        let is_by_signer = || {
            self.signer
                .as_ref()
                .is_some_and(|it| is_by(it.public_key().as_ref()))
        };
        if self.trusted.iter().flatten().any(|key| is_by(key)) {
            RecordAuthor::Trusted
        } else if is_by_signer() {
            RecordAuthor::ThisMachine
        } else {
            RecordAuthor::Other
        }
    }

    /// Whether the machine uses records of an author.
    pub(crate) fn accepts(&self, author: RecordAuthor) -> bool {
        self.trusted.is_none() || author == RecordAuthor::Trusted
    }

    /// Whether a record of an author makes it unnecessary to push the same entry: one of which others
    /// know as much as of one that this machine writes.
    pub(crate) fn replaces_own(&self, author: RecordAuthor) -> bool {
        match author {
            RecordAuthor::Trusted | RecordAuthor::ThisMachine => true,
            RecordAuthor::Other | RecordAuthor::Unknown => {
                self.signer.is_none() && self.trusted.is_none()
            }
        }
    }

    /// Whether others with the same trusted keys would refuse everything that the machine pushes,
    /// because it does not sign.
    pub(crate) fn refuses_unsigned(&self) -> bool {
        self.trusted.is_some() && self.signer.is_none()
    }

    /// Whether the machine refuses what it signs.
    pub(crate) fn refuses_own(&self) -> bool {
        let (Some(signer), Some(trusted)) = (&self.signer, &self.trusted) else {
            return false;
        };
        let own = signer.public_key();
        !trusted.iter().any(|key| key == own.as_ref())
    }

    /// Tells any two sets of trusted keys apart. Empty if every record is accepted.
    pub(crate) fn trusted_id(&self) -> String {
        let Some(trusted) = &self.trusted else {
            return String::new();
        };
        let mut keys = trusted.clone();
        keys.sort_unstable();
        keys.dedup();
        Digest::of(&keys.concat()).to_string()
    }
}

impl fmt::Debug for RecordSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for RecordSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for RecordSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        from_hex(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("the signature is not 128 hexadecimal digits"))
    }
}

fn from_hex(text: &str) -> Option<[u8; LENGTH]> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = digits else { return None };
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(bytes)
}

/// What is signed. Names of objects have no zero byte, so no two pairs have the same message.
fn message(record: &[u8], name: &str) -> Vec<u8> {
    [CONTEXT, name.as_bytes(), record].join(&0)
}
