//! The three connections to a server: which server, with which credentials, certificates and limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, Certificate, ClientOptions, ObjectStore, RetryConfig};

use super::config::RemoteConfig;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs::files;

/// A download that receives nothing for so long has failed.
const STALL_LIMIT: Duration = Duration::from_millis(2_500);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// What each kind of request uses.
pub(super) struct Connections {
    pub(super) small: Arc<dyn ObjectStore>,
    pub(super) downloads: Arc<dyn ObjectStore>,
    pub(super) uploads: Arc<dyn ObjectStore>,
}

/// Connects to nothing yet. Credentials come from the variables that the tools of AWS use.
pub(super) fn connect(config: &RemoteConfig, env: &Env) -> Result<Connections> {
    // Fails only if something else in the process chose before; that one works too.
    drop(rustls::crypto::ring::default_provider().install_default());
    let config = &RemoteConfig {
        endpoint: endpoint(config, env),
        ..config.clone()
    };
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_timeout_disabled()
        .with_pool_max_idle_per_host(16);
    let options = trust_certificates(options, config)?;
    let build = |options: ClientOptions, retries: usize| {
        builder(config, env)
            .with_client_options(options)
            .with_retry(retry(retries))
            .build()
            .map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            .map_err(|error| cannot_connect(config, &error))
    };
    Ok(Connections {
        small: build(options.clone(), 2)?,
        downloads: build(options.clone().with_read_timeout(STALL_LIMIT), 2)?,
        // A limit on silence would count the time of the body.
        uploads: build(options, 3)?,
    })
}

fn retry(max_retries: usize) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        },
        max_retries,
        retry_timeout: Duration::from_secs(2),
    }
}

/// The server: that of the URL, or else that of the variables of the AWS tools.
fn endpoint(config: &RemoteConfig, env: &Env) -> Option<String> {
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let from_env = || variables.iter().find_map(|name| env.text(name));
    config
        .endpoint
        .clone()
        .or_else(|| from_env().map(str::to_owned))
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

fn trust_certificates(options: ClientOptions, config: &RemoteConfig) -> Result<ClientOptions> {
    let mut options = options;
    if config
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"))
    {
        // Without TLS, a machine without certificates must do.
        options = options
            .with_allow_http(true)
            .with_no_system_certificates(true);
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
