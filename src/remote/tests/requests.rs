//! Single requests.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use super::bucket::client_of;
use crate::env::Env;
use crate::error::Error;
use crate::monitor::Monitor;
use crate::remote::client::RemoteClient;
use crate::remote::config::RemoteConfig;
use crate::remote::error::RemoteError;

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
