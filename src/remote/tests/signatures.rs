//! Signatures of records: what they cover, and who is accepted.

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::digest::Digest;
use crate::remote::error::RemoteError;
use crate::remote::name::{GroupName, PushId, Trust, key_id};
use crate::remote::record::tests::record;
use crate::remote::record::{ReadRecord, RemoteRecord};
use crate::remote::signature::{RecordAuthor, RecordKeys};

/// A machine that signs with a key of its own, and trusts some keys.
pub(super) fn keys(signer: Option<u8>, trusted: Option<&[u8]>) -> RecordKeys {
    let pair = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = |seed: &u8| pair(*seed).public_key().as_ref().try_into().unwrap();
    let trusted = trusted.map(|seeds| seeds.iter().map(public).collect());
    RecordKeys::new(signer.map(pair), trusted)
}

fn name(record: &RemoteRecord) -> String {
    let group = &record.entry.group;
    GroupName::new(Trust::Branch, group).record(&key_id(group, &record.entry.key), &record.push)
}

fn signed(key: &str, signer: u8) -> (String, RemoteRecord, Vec<u8>) {
    let record = record(key, 5, &[Digest::of(b"a"), Digest::of(b"b")]);
    let name = name(&record);
    let bytes = record.encode(&name, &keys(Some(signer), None)).unwrap();
    (name, record, bytes)
}

#[track_caller]
fn read(bytes: &[u8], name: &str, keys: &RecordKeys) -> RecordAuthor {
    ReadRecord::decode(bytes, name, keys).unwrap().author
}

#[test]
fn a_record_of_a_trusted_key_is_accepted_and_no_other() {
    let (name, _, bytes) = signed("linux-1", 1);
    let plain = record("linux-1", 5, &[]);
    let plain_name = self::name(&plain);
    let plain = plain.encode(&plain_name, &RecordKeys::default()).unwrap();
    for (machine, of_signed, of_plain) in [
        (keys(None, None), true, true),
        (keys(Some(1), None), true, true),
        (keys(None, Some(&[1])), true, false),
        (keys(None, Some(&[3, 2, 1])), true, false),
        (keys(Some(3), Some(&[2, 1])), true, false),
        (keys(Some(1), Some(&[2, 3])), false, false),
        (keys(None, Some(&[2])), false, false),
    ] {
        assert_eq!(machine.accepts(read(&bytes, &name, &machine)), of_signed);
        assert_eq!(
            machine.accepts(read(&plain, &plain_name, &machine)),
            of_plain
        );
    }
}

#[test]
fn no_byte_of_a_signed_record_can_change() {
    let (name, right, bytes) = signed("linux-1", 1);
    let machine = keys(None, Some(&[1]));
    for at in 0..bytes.len() {
        for bit in [1, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            let read = ReadRecord::decode(&changed, &name, &machine);
            let Some(read) = read.ok().filter(|read| machine.accepts(read.author)) else {
                continue;
            };
            // Digits of digests in upper case say the same.
            assert!(bit == 0x20 && read.record == right, "{at}");
        }
    }
}

#[test]
fn changed_fields_with_a_right_checksum_are_refused() {
    let (name, record, _) = signed("linux-1", 1);
    let machine = keys(None, Some(&[1]));
    let json = |record: &RemoteRecord| serde_json::to_vec(record).unwrap();
    let signature = keys(Some(1), None).sign(&json(&record), &name).unwrap();
    let author = |change: &dyn Fn(&mut RemoteRecord)| {
        let mut record = record.clone();
        change(&mut record);
        machine.author(&json(&record), &name, signature.as_ref())
    };
    assert_eq!(author(&|_| {}), RecordAuthor::Trusted);
    let changes: [&dyn Fn(&mut RemoteRecord); 11] = [
        &|it| it.format -= 1,
        &|it| it.push = PushId::random(),
        &|it| it.entry.key.push('0'),
        &|it| it.entry.group.git_ref = String::new(),
        &|it| it.entry.group.scope = "acme".into(),
        &|it| it.entry.group.paths = vec!["other".into()],
        &|it| it.entry.created.nanoseconds += 1,
        &|it| it.entry.manifest = Digest::of(b"other"),
        &|it| it.manifest.digest = Digest::of(b"other"),
        &|it| it.segments.swap(0, 1),
        &|it| it.segments.truncate(1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(author(change), RecordAuthor::Other, "{number}");
    }
}

#[test]
fn a_signed_record_cannot_be_moved() {
    let (name, record, bytes) = signed("linux-1", 1);
    let machine = keys(None, Some(&[1]));
    let file = name.rsplit('/').next().unwrap();
    // The file's name alone would fit.
    for moved in [
        name.replace("branch/", "pull-request/"),
        name.replace("/acme/", "/other/"),
        name.replace("/main/", "/release/"),
        format!("branch/@/@/{}/entries/{file}", record.entry.group.id()),
    ] {
        assert_ne!(moved, name);
        assert_eq!(read(&bytes, &moved, &machine), RecordAuthor::Other);
    }
    // Another push of the key, or another key.
    for other in [
        self::record("linux-1", 5, &[]),
        self::record("linux-2", 5, &[]),
    ] {
        let error = ReadRecord::decode(&bytes, &self::name(&other), &machine).unwrap_err();
        assert!(matches!(error, RemoteError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_record_without_a_signature_is_as_before_and_is_read_without_trusted_keys() {
    let record = self::record("linux-1", 5, &[Digest::of(b"a")]);
    let name = name(&record);
    let bytes = record.encode(&name, &RecordKeys::default()).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("signature"));
    let machine = RecordKeys::default();
    let read = ReadRecord::decode(&bytes, &name, &machine).unwrap();
    assert_eq!(read.author, RecordAuthor::Unknown);
    assert_eq!(read.accepted(&machine, &name).unwrap(), record);
    // The other direction: what is signed has the fields and the checksum that they read.
    let signed: serde_json::Value =
        serde_json::from_slice(&record.encode(&name, &keys(Some(1), None)).unwrap()).unwrap();
    let mut plain: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    plain["signature"] = signed["signature"].clone();
    assert_eq!(signed, plain);
}

#[test]
fn a_machine_that_signs_pushes_again_what_others_could_not_trust() {
    use RecordAuthor::{Other, ThisMachine, Trusted, Unknown};
    for (machine, replacing) in [
        (
            keys(None, None),
            &[Trusted, ThisMachine, Other, Unknown][..],
        ),
        (keys(Some(1), None), &[Trusted, ThisMachine]),
        (keys(Some(1), Some(&[1])), &[Trusted, ThisMachine]),
        (keys(None, Some(&[1])), &[Trusted, ThisMachine]),
    ] {
        for author in [Trusted, ThisMachine, Other, Unknown] {
            assert_eq!(machine.replaces_own(author), replacing.contains(&author));
        }
    }
    assert!(keys(None, Some(&[1])).refuses_unsigned());
    assert!(!keys(Some(2), Some(&[1])).refuses_unsigned());
    assert!(keys(Some(2), Some(&[1])).refuses_own());
    assert!(!keys(Some(2), Some(&[1, 2])).refuses_own());
    assert!(!keys(Some(2), None).refuses_own());
}

#[test]
fn sets_of_trusted_keys_are_told_apart() {
    let id = |trusted| keys(Some(9), trusted).trusted_id();
    assert_eq!(id(None), "");
    assert_eq!(id(Some(&[1, 2])), id(Some(&[2, 1, 1])));
    assert_ne!(id(Some(&[1, 2])), id(Some(&[1])));
}
