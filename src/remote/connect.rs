//! The three connections to a server: which server, with which credentials, certificates and limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::config::RemoteConfig;
use super::server_clock::{ClockConnector, ServerClock};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::files;

/// A download that receives nothing for so long has failed.
const STALL_LIMIT: Duration = Duration::from_millis(2_500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How often a request is sent again, and until when after its start. The limits of the client hold
/// for all attempts together.
#[derive(Clone, Copy)]
struct Retries {
    most: usize,
    until: Duration,
}

const SMALL_RETRIES: Retries = Retries {
    most: 2,
    until: Duration::from_secs(2),
};
/// Also after a download that stalled.
const DOWNLOAD_RETRIES: Retries = Retries {
    most: 2,
    until: STALL_LIMIT.saturating_mul(2),
};
/// Also after a server has received a large body and then asks for a slower rate.
const UPLOAD_RETRIES: Retries = Retries {
    most: 3,
    until: Duration::from_secs(30),
};

/// What each kind of request uses.
pub(super) struct Connections {
    pub(super) small: Arc<dyn ObjectStore>,
    pub(super) downloads: Arc<dyn ObjectStore>,
    pub(super) uploads: Arc<dyn ObjectStore>,
    /// By the answers to small requests.
    pub(super) clock: ServerClock,
}

/// Connects to nothing yet. Credentials come from the variables that the tools of AWS use.
pub(super) fn connect(config: &RemoteConfig, env: &Env) -> Result<Connections> {
    // Fails only if something else in the process chose before; that one works too.
    drop(rustls::crypto::ring::default_provider().install_default());
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_timeout_disabled()
        .with_pool_max_idle_per_host(16);
    let options = trust_certificates(options, config, env)?;
    let build = |builder: AmazonS3Builder, options: ClientOptions, retries: Retries| {
        builder
            .with_client_options(options)
            .with_retry(retry(retries))
            .build()
            .map_err(|error| cannot_connect(config, &error))
    };
    let clock = ServerClock::default();
    // Ceph permits a request that deletes several objects only by a policy for the whole bucket, and
    // some servers have no such request.
    let noting = builder(config, env)
        .with_disable_bulk_delete(true)
        .with_http_connector(ClockConnector(clock.clone()));
    let small = build(noting, options.clone(), SMALL_RETRIES)?;
    // One provider, so that a service that gives out credentials is asked once.
    let credentials = small.credentials();
    let builder = || builder(config, env).with_credentials(Arc::clone(credentials));
    let stalling = options.clone().with_read_timeout(STALL_LIMIT);
    Ok(Connections {
        downloads: Arc::new(build(builder(), stalling, DOWNLOAD_RETRIES)?),
        // A limit on silence would count the time of the body.
        uploads: Arc::new(build(builder(), options, UPLOAD_RETRIES)?),
        small: Arc::new(small),
        clock,
    })
}

fn retry(retries: Retries) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        },
        max_retries: retries.most,
        retry_timeout: retries.until,
    }
}

/// The configuration with the server that is used: that of the URL, or else that of the variables of
/// the AWS tools. None is left for AWS.
pub(super) fn with_server(config: &RemoteConfig, env: &Env) -> RemoteConfig {
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let from_env = || variables.iter().find_map(|name| env.text(name));
    let endpoint = config.endpoint.as_deref().or_else(from_env);
    RemoteConfig {
        endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
        ..config.clone()
    }
}

fn builder(config: &RemoteConfig, env: &Env) -> AmazonS3Builder {
    let variables: BTreeMap<String, &str> = env
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let mut builder = AmazonS3Builder::new();
    for (name, value) in variables {
        // The bucket and the limits come from the remote's own settings.
        match name.parse::<AmazonS3ConfigKey>() {
            Ok(AmazonS3ConfigKey::Bucket | AmazonS3ConfigKey::Client(_)) | Err(_) => {}
            Ok(key) => builder = builder.with_config(key, value),
        }
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder
            .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint)
            .with_virtual_hosted_style_request(false);
    }
    builder.with_bucket_name(&config.bucket)
}

fn trust_certificates(
    options: ClientOptions,
    config: &RemoteConfig,
    env: &Env,
) -> Result<ClientOptions> {
    let mut options = options;
    let endpoint = config.endpoint.as_deref();
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        // Without TLS, a machine without certificates must do. Tokens are only sent with TLS.
        let sends_token = env.text("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
        options = options
            .with_allow_http(true)
            .with_no_system_certificates(!sends_token);
    }
    let Some(path) = &config.ca_file else {
        return Ok(options);
    };
    let pem = files::read(path)?;
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(Error::invalid(format!(
            "{} has no certificates; the remote's option ca-file needs a PEM file",
            path.display()
        )));
    }
    options = options.with_no_system_certificates(true);
    for certificate in certificates {
        options = options.with_root_certificate(certificate);
    }
    Ok(options)
}

fn cannot_connect(config: &RemoteConfig, error: &object_store::Error) -> Error {
    let text = error.to_string();
    let reason = if text.contains("CA certificates") {
        "this machine has no CA certificates; install ca-certificates or name a file with ca-file"
    } else if text.contains("AccessKey") {
        "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set; set both"
    } else {
        "its settings are refused; check its options and the AWS_* variables"
    };
    Error::invalid(format!(
        "cannot use the remote {}: {reason}",
        config.place()
    ))
}
