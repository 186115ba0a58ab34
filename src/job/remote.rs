//! Which remote a job uses: that of its step, or that of the machine it runs on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ops::second_tier::SecondTier;

/// What a step says about the remote.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRequest {
    /// The URL that the step names; `None` for that of the machine.
    pub url: Option<String>,
    /// Whether the run is one of a branch. Others write only what no branch reads.
    pub is_of_branch: bool,
    /// Whether the job can reach a remote.
    pub has_network: bool,
    /// Whether the process that asks for the job copies entries after it, if the remote is used so.
    #[serde(default)]
    pub copies_later: bool,
    /// The variables of the step that the tools of AWS use, with credentials.
    pub variables: BTreeMap<String, String>,
}

/// Shows no values: some are credentials, and a URL may hold one by mistake.
impl fmt::Debug for RemoteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRequest")
            .field("is_of_branch", &self.is_of_branch)
            .field("has_network", &self.has_network)
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}

/// What a job does about the remote.
pub enum RemoteChoice {
    /// There is none.
    Unused,
    /// The machine has one, and the job cannot reach it from here.
    NeedsNetwork,
    Used(Box<dyn SecondTier>),
}

#[cfg(feature = "remote")]
mod open {
    use std::path::{Path, PathBuf};

    use super::{RemoteChoice, RemoteRequest};
    use crate::env::Env;
    use crate::error::{Error, Result};
    use crate::fs::{Namespace, files};
    use crate::ops::second_tier::LaterCopy;
    use crate::remote::{RemoteConfig, RemoteTier, Trust, copy_after_job, remote_url};

    /// Variables that name files.
    const FILE_VARIABLES: [&str; 2] = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    /// Where distributions keep the certificates that a machine trusts.
    const CERTIFICATES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];

    impl RemoteRequest {
        /// Connects to the remote of a job with this cache root. `env` is the environment of the
        /// job's place, below that of the step. Files are those of the namespace.
        pub fn open(
            &self,
            cache_root: &Path,
            namespace: &dyn Namespace,
            env: &Env,
        ) -> Result<RemoteChoice> {
            let Some(url) = remote_url(self.url.as_deref(), cache_root, namespace)? else {
                return Ok(RemoteChoice::Unused);
            };
            if !self.has_network {
                return Ok(RemoteChoice::NeedsNetwork);
            }
            let (config, env) = self.settings(&url, namespace, env)?;
            let mut tier = RemoteTier::new(&config, &env, Trust::of_branch(self.is_of_branch))?;
            if self.copies_later {
                tier.leave_to_caller();
            }
            Ok(RemoteChoice::Used(Box::new(tier)))
        }

        /// Copies entries when the job is over, in a process that nobody waits for.
        pub fn copy_after_job(
            &self,
            cache_root: &Path,
            (namespace, env): (&dyn Namespace, &Env),
            copy: LaterCopy,
        ) -> Result<()> {
            let Some(url) = remote_url(self.url.as_deref(), cache_root, namespace)? else {
                return Ok(());
            };
            let (config, env) = self.settings(&url, namespace, env)?;
            let trust = Trust::of_branch(self.is_of_branch);
            let cache_root = namespace.locate(cache_root)?;
            copy_after_job(&cache_root, (&config, &env, trust), copy)
        }

        /// The remote and the environment as the job's place sees them.
        fn settings(
            &self,
            url: &str,
            namespace: &dyn Namespace,
            env: &Env,
        ) -> Result<(RemoteConfig, Env)> {
            let mut config = RemoteConfig::parse(url).map_err(Error::invalid)?;
            config.ca_file = match &config.ca_file {
                Some(path) => Some(namespace.locate(path)?),
                None => certificates_of_host(namespace)?,
            };
            for file in [&mut config.sign, &mut config.trust].into_iter().flatten() {
                *file = namespace.locate(file)?;
            }
            Ok((config, self.environment(namespace, env)?))
        }

        fn environment(&self, namespace: &dyn Namespace, env: &Env) -> Result<Env> {
            let mut all = env.clone();
            for (name, value) in &self.variables {
                all = all.with(name, value);
            }
            for name in FILE_VARIABLES {
                let located = all.path(name).map(|path| namespace.locate(path));
                if let Some(path) = located.transpose()? {
                    all = all.with(name, path);
                }
            }
            Ok(all)
        }
    }

    /// The certificates of the host, for a job that has another root directory. Any other job finds
    /// those of its system by itself.
    fn certificates_of_host(namespace: &dyn Namespace) -> Result<Option<PathBuf>> {
        for name in CERTIFICATES.map(Path::new) {
            let path = namespace.locate(name)?;
            if namespace.original_name(&path) != path && files::stat(&path)?.is_some() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

#[cfg(not(feature = "remote"))]
mod open {
    use std::path::Path;

    use super::{RemoteChoice, RemoteRequest};
    use crate::env::Env;
    use crate::error::{Error, Result};
    use crate::fs::Namespace;
    use crate::ops::second_tier::LaterCopy;

    impl RemoteRequest {
        /// This build of the program has no remote.
        pub fn open(&self, _: &Path, _: &dyn Namespace, _: &Env) -> Result<RemoteChoice> {
            match self.url.as_deref().map(str::trim) {
                None | Some("" | "none") => Ok(RemoteChoice::Unused),
                Some(_) => Err(Error::invalid(
                    "this local-cache was built without the feature remote; build it with default features",
                )),
            }
        }

        /// This build of the program has no remote.
        pub fn copy_after_job(
            &self,
            _: &Path,
            _: (&dyn Namespace, &Env),
            _: LaterCopy,
        ) -> Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_credentials() {
        let request = RemoteRequest {
            url: Some("s3://key:hunter2@bucket".into()),
            variables: [("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into())].into(),
            ..RemoteRequest::default()
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hunter2"));
    }
}
