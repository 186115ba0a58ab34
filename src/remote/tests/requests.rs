//! Single requests.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use super::bucket::{MemoryBucket, client_of};
use super::machine::{Machine, Warnings};
use super::server::{Answer, FakeServer};
use crate::env::Env;
use crate::error::Error;
use crate::monitor::{Monitor, Silent};
use crate::ops::second_tier::SecondTier as _;
use crate::remote::client::RemoteClient;
use crate::remote::config::RemoteConfig;
use crate::remote::error::RemoteError;
use crate::remote::push::{PushDeadline, write_record};
use crate::remote::status::{RemoteVerifyOptions, verify};
use crate::remote::{RemoteTier, Trust};

const EMPTY_LIST: &str =
    r#"<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"#;

fn credentials() -> Env {
    Env::default()
        .with("AWS_ACCESS_KEY_ID", "key")
        .with("AWS_SECRET_ACCESS_KEY", "secret")
}

struct Interrupted;

impl Monitor for Interrupted {
    fn is_interrupted(&self) -> bool {
        true
    }
}

#[test]
fn an_interruption_ends_every_request() {
    let hour = Duration::from_secs(60 * 60);
    let config = ThrottleConfig {
        wait_get_per_call: hour,
        wait_list_per_call: hour,
        wait_put_per_call: hour,
        wait_delete_per_call: hour,
        ..ThrottleConfig::default()
    };
    let store = Arc::new(ThrottledStore::new(InMemory::new(), config));
    let config = RemoteConfig::parse("s3://memory").unwrap();
    let client = client_of(&(store as Arc<dyn ObjectStore>), &config);
    let ended = [
        client.list("", &Interrupted).map(drop),
        client.put("x", vec![0], &Interrupted),
        client.delete(&["x".to_owned()], &Interrupted),
        client
            .start_range("x", 0..1)
            .and_then(|range| range.wait(&Interrupted))
            .map(drop),
    ];
    for result in ended {
        let is_interruption = matches!(result, Err(RemoteError::Local(Error::Interrupted)));
        assert!(is_interruption, "{result:?}");
    }
    assert!(!client.is_off());
}

#[test]
fn only_the_use_of_the_remote_counts_for_its_timeout() {
    let pause = || std::thread::sleep(Duration::from_millis(5));
    let hour = Duration::from_secs(60 * 60);
    let client = |timeout: &str| {
        let url = format!("s3://memory?endpoint=http://127.0.0.1:1&timeout={timeout}");
        let config = RemoteConfig::parse(&url).unwrap();
        RemoteClient::new(&config, &Env::default(), true).unwrap()
    };
    let patient = client("1h");
    pause();
    assert_eq!(patient.remaining(2 * hour), hour);
    let in_use = patient.start_use();
    pause();
    assert!(patient.remaining(2 * hour) < hour);
    drop(in_use);
    let left = patient.remaining(2 * hour);
    pause();
    assert_eq!(patient.remaining(2 * hour), left);
    let impatient = client("1ns");
    let _use = impatient.start_use();
    pause();
    let refused = impatient.start_range("x", 0..1).map(drop);
    assert!(
        matches!(refused, Err(RemoteError::TimeUp { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_download_that_stalls_is_sent_again() {
    let server = FakeServer::start(|requests| match requests {
        [_first] => Answer::Nothing,
        _ => Answer::Sent("206 Partial Content", "bytes".to_owned()),
    });
    let client = RemoteClient::new(&server.remote(), &credentials(), false).unwrap();
    let range = client.start_range("x", 0..5).unwrap();
    assert_eq!(&*range.wait(&Silent).unwrap(), b"bytes");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_service_that_gives_out_credentials_is_asked_once() {
    let server = FakeServer::start(|requests| {
        let path = requests.last().unwrap();
        let credentials = r#"{"AccessKeyId":"key","SecretAccessKey":"secret","Token":"token","Expiration":"2100-01-01T00:00:00Z"}"#;
        if path.ends_with("/security-credentials/role") {
            Answer::Sent("200 OK", credentials.to_owned())
        } else if path.ends_with("/security-credentials/") {
            Answer::Sent("200 OK", "role".to_owned())
        } else if path.contains("list-type") {
            Answer::Sent("200 OK", EMPTY_LIST.to_owned())
        } else {
            Answer::Sent("206 Partial Content", "x".to_owned())
        }
    });
    let env = Env::default().with("AWS_METADATA_ENDPOINT", server.endpoint());
    let client = RemoteClient::new(&server.remote(), &env, false).unwrap();
    client.list("", &Silent).unwrap();
    client
        .start_range("x", 0..1)
        .unwrap()
        .wait(&Silent)
        .unwrap();
    client.put("x", vec![0], &Silent).unwrap();
    let requests = server.requests();
    let asked = requests.iter().filter(|it| it.ends_with("/role")).count();
    assert_eq!(asked, 1, "{requests:?}");
}

#[test]
fn what_is_remembered_of_a_server_does_not_count_for_another_one_with_the_same_bucket() {
    let machine = Machine::new(&MemoryBucket::new());
    let look_up = |config: &RemoteConfig| {
        let tier = RemoteTier::new(config, &credentials(), Trust::Branch).unwrap();
        let warnings = Warnings::default();
        let found = machine.restore(&tier, "linux-1", &[], &warnings);
        assert!(found.is_none());
        (tier.report().requests, warnings.take())
    };
    let dead = RemoteConfig::parse("s3://bucket?endpoint=http://127.0.0.1:1").unwrap();
    assert!(look_up(&dead).1[0].contains("does not work"));
    assert!(look_up(&dead).1[0].contains("seconds ago"));
    for _server in 0..2 {
        let list = |_: &[String]| Answer::Sent("200 OK", EMPTY_LIST.to_owned());
        let server = FakeServer::start(list);
        assert_eq!(look_up(&server.remote()), (1, Vec::new()));
    }
}

/// The objects of a bucket with a part of their names, as S3 lists them.
fn list_of(bucket: &MemoryBucket, part: &str) -> String {
    let contents = bucket.names(part).into_iter().map(|name| {
        let size = bucket.read(&name).len();
        let key = name.strip_prefix("ci/").unwrap();
        format!("<Contents><Key>{key}</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified><ETag>\"1\"</ETag><Size>{size}</Size></Contents>")
    });
    let contents: String = contents.collect();
    EMPTY_LIST.replace("</ListBucketResult>", &(contents + "</ListBucketResult>"))
}

#[test]
fn data_that_a_push_writes_while_verify_lists_is_not_missing() {
    let bucket = MemoryBucket::new();
    let a = Machine::new(&bucket);
    a.write("f", b"of a");
    a.push("linux-1");
    let record = bucket.read(&bucket.names("/entries/")[0]);
    let record = String::from_utf8(record).unwrap();
    // Not the manifest: verify has to come as far as that.
    let other = "x".repeat(bucket.read(&bucket.names("/manifests/")[0]).len());
    let (only_record, all) = (list_of(&bucket, "/entries/"), list_of(&bucket, ""));
    let server = FakeServer::start(move |requests| {
        let is_list = |request: &&String| request.contains("list-type");
        let lists = requests.iter().filter(is_list).count();
        match requests.last().unwrap() {
            last if last.contains("/entries/") => {
                Answer::Sent("206 Partial Content", record.clone())
            }
            last if last.contains("/manifests/") => {
                Answer::Sent("206 Partial Content", other.clone())
            }
            _ if lists == 1 => Answer::Sent("200 OK", only_record.clone()),
            _ => Answer::Sent("200 OK", all.clone()),
        }
    });
    let client = RemoteClient::new(&server.remote(), &credentials(), false).unwrap();
    let options = RemoteVerifyOptions {
        contents: false,
        repair: false,
    };
    let report = verify(&client, options, &Silent).unwrap();
    let [(_, damage)] = &*report.damaged else {
        panic!("{report:?}");
    };
    assert!(damage.to_string().contains("/manifests/"), "{damage}");
}

#[test]
fn a_record_whose_turn_comes_too_late_is_not_written() {
    let bucket = MemoryBucket::new();
    let client = bucket.client_with("bandwidth=1000");
    client.put("manifest", vec![0; 200], &Silent).unwrap();
    let deadline = PushDeadline::after(Duration::from_millis(10));
    let record = ("record", vec![0; 10]);
    let error = write_record(&client, record, deadline, &Silent).unwrap_err();
    assert!(error.to_string().contains("took longer"), "{error}");
    assert_eq!(bucket.names("record").len(), 0);
}
