//! Reads the inputs that the table lists and collects errors.

use std::time::Duration;

use log::LevelFilter;

use super::error::{InputError, InputErrors};
use super::parsed::Inputs;
use super::table::{InputSpec, RemovedInput};
use super::types::{
    CargoInputs, JobStatus, Mirror, Preset, RetentionInputs, Reuse, SaveMode, Scope,
};
use super::values::{self, Keyword};
use super::{lists, table};
use crate::action::env::Env;
use crate::action::kind::ActionKind;
use crate::cargo::freshness::mode::FreshnessMode;
use crate::cargo::key_inputs::KeyInputs;
use crate::glob::js_trim;
use crate::site::SitePreference;
use crate::store::ready_limit::ReadyLimit;

impl Inputs {
    /// Reads the inputs of a step of the action `kind`.
    pub fn parse(env: &Env, kind: ActionKind) -> Result<Self, InputErrors> {
        InputReader::new(env, kind).read()
    }
}

/// Reads inputs one after another and collects errors. An invalid value is replaced by a
/// placeholder, which never leaves the reader because the errors do.
pub(super) struct InputReader<'e> {
    env: &'e Env,
    kind: ActionKind,
    errors: Vec<InputError>,
}

const BOOLEAN: &str = "true, false, yes, no, 1, 0, on or off";
const COUNT: &str = "a whole number from 1";
const PERCENT: &str = "a whole percentage from 0 to 100, such as 80 or 80%";
const PERCENT_OR_NONE: &str = "a whole percentage from 0 to 100, such as 80 or 80%, or none";
const SIZE: &str = "a size with its unit, such as 50GB or 20GiB, or none";
const DURATION: &str = "a duration such as 90s, 10m, 1h30m or 7d, or none";

impl<'e> InputReader<'e> {
    pub(super) fn new(env: &'e Env, kind: ActionKind) -> Self {
        Self {
            env,
            kind,
            errors: Vec::new(),
        }
    }

    /// All inputs, or all errors.
    pub(super) fn read(mut self) -> Result<Inputs, InputErrors> {
        let inputs = self.inputs();
        InputErrors::check(self.errors)?;
        Ok(inputs)
    }

    fn inputs(&mut self) -> Inputs {
        let preset = self.choice(&table::PRESET, "auto, cargo or none", Preset::Auto);
        let paths = self.paths(preset);
        let restore_keys = lists::lines(&self.raw(&table::RESTORE_KEYS));
        let of_paths =
            self.kind != ActionKind::Cache || preset == Preset::None || !paths.is_empty();
        let key = self.key(of_paths, &restore_keys);
        Inputs {
            kind: self.kind,
            paths,
            restore_keys,
            fail_on_cache_miss: self.flag(&table::FAIL_ON_CACHE_MISS),
            lookup_only: self.flag(&table::LOOKUP_ONLY),
            preset,
            cargo: self.cargo(&key),
            key,
            cache_on_failure: self.optional_flag(&table::CACHE_ON_FAILURE),
            save_if: self.optional_flag(&table::SAVE_IF).unwrap_or(true),
            cache_root: self.cache_root(),
            scope: self.choice(
                &table::SCOPE,
                "repository, owner or runner",
                Scope::Repository,
            ),
            branch_isolation: self.boolean(&table::BRANCH_ISOLATION),
            save: self.save(),
            retention: self.retention(),
            mirror: self.choice(&table::MIRROR, "auto, true or false", Mirror::Auto),
            reuse: self.choice(&table::REUSE, "move or copy", Reuse::Move),
            ready_copies: self.value(
                &table::READY_COPIES,
                "auto or a whole number from 0",
                ReadyLimit::parse,
                ReadyLimit::Auto,
            ),
            freshness: self.choice(&table::FRESHNESS, "safe, cargo or off", FreshnessMode::Safe),
            sources: lists::lines(&self.raw(&table::SOURCES)),
            fail_on_stale: self.boolean(&table::FAIL_ON_STALE),
            keep_outputs: lists::lines(&self.raw(&table::KEEP_OUTPUTS)),
            restore_in_pre: self.boolean(&table::RESTORE_IN_PRE),
            remote: self.remote(),
            verify: self.boolean(&table::VERIFY),
            timeout: self.timeout(),
            fail_on_error: self.boolean(&table::FAIL_ON_ERROR),
            experiment: self.value(&table::EXPERIMENT, PERCENT, values::percent, 0),
            summary: self.boolean(&table::SUMMARY),
            log_level: self.log_level(),
            site: self.choice(
                &table::SITE,
                "auto, here, host or job-container",
                SitePreference::Auto,
            ),
            job_status: values::keyword(&self.text(&table::JOB_STATUS))
                .unwrap_or(JobStatus::Unknown),
            job_container: self.non_empty(&table::JOB_CONTAINER),
            ignored: self.ignored(),
            removed: self.removed(),
        }
    }

    fn remote(&mut self) -> Option<String> {
        let url = self.non_empty(&table::REMOTE)?;
        if let Err(reason) = valid_remote(&url) {
            self.errors.push(InputError::Remote { reason });
        }
        Some(url)
    }

    /// `path` is required before it is trimmed, and an empty list is an error of its own, both as
    /// in actions/cache. Only the action itself works without paths.
    fn paths(&mut self, preset: Preset) -> Vec<String> {
        let raw = self.raw(&table::PATH);
        let paths = lists::lines(&raw);
        let required = self.kind != ActionKind::Cache || preset == Preset::None;
        if paths.is_empty() && required {
            self.errors.push(if raw.is_empty() {
                InputError::Missing {
                    name: table::PATH.name,
                }
            } else {
                InputError::NoPaths
            });
        }
        if !paths.is_empty() && preset == Preset::Cargo {
            self.errors.push(InputError::Conflict {
                first: table::PATH.name,
                second: "preset: cargo",
                advice: "name more directories for the preset in cache-directories, or use a separate step for `path`",
            });
        }
        paths
    }

    /// Keys of path caches have rules; a computed key takes any text.
    fn key(&mut self, of_paths: bool, restore_keys: &[String]) -> String {
        let raw = self.raw(&table::KEY);
        let key = js_trim(&raw).to_owned();
        if of_paths && raw.is_empty() {
            self.errors.push(InputError::Missing {
                name: table::KEY.name,
            });
        }
        if of_paths {
            self.errors.extend(lists::check_keys(&key, restore_keys));
        }
        key
    }

    fn cargo(&mut self, key: &str) -> CargoInputs {
        let workspaces = self.value(
            &table::WORKSPACES,
            "one workspace per line, as `root` or `root -> target`",
            lists::workspaces,
            Vec::new(),
        );
        CargoInputs {
            workspaces,
            key_inputs: KeyInputs {
                prefix_key: self.text_or_default(&table::PREFIX_KEY),
                shared_key: self.text(&table::SHARED_KEY),
                key: key.to_owned(),
                add_job_id: self.flag(&table::ADD_JOB_ID_KEY),
                add_environment: self.flag(&table::ADD_RUST_ENVIRONMENT_HASH_KEY),
                env_vars: lists::words(&self.raw(&table::ENV_VARS)),
            },
            cache_directories: lists::words(&self.raw(&table::CACHE_DIRECTORIES)),
            cache_targets: self.optional_flag(&table::CACHE_TARGETS).unwrap_or(true),
            cache_all_crates: self.flag(&table::CACHE_ALL_CRATES),
            cache_bin: self.flag(&table::CACHE_BIN),
        }
    }

    fn retention(&mut self) -> RetentionInputs {
        let one = std::num::NonZeroU32::MIN;
        RetentionInputs {
            keep_registry: self.value(&table::KEEP_REGISTRY, COUNT, values::count, one),
            keep_git: self.value(&table::KEEP_GIT, COUNT, values::count, one),
            keep_target: self.value(&table::KEEP_TARGET, COUNT, values::count, one),
            keep: self.value(&table::KEEP, COUNT, values::count, one),
            max_age: self.optional(&table::MAX_AGE, DURATION, values::duration),
            max_cache_size: self.optional(&table::MAX_CACHE_SIZE, SIZE, values::size),
            disk_threshold: self.optional(&table::DISK_THRESHOLD, PERCENT_OR_NONE, values::percent),
            min_free_space: self
                .optional(&table::MIN_FREE_SPACE, SIZE, values::size)
                .unwrap_or(0),
        }
    }

    fn cache_root(&mut self) -> String {
        let allowed = "an absolute path or one that begins with ~/";
        self.value(
            &table::CACHE_ROOT,
            allowed,
            values::store_path,
            String::new(),
        )
    }

    fn timeout(&mut self) -> Option<Duration> {
        let allowed = "a duration above zero such as 90s, 10m or 1h30m, or none";
        self.optional(&table::TIMEOUT, allowed, values::positive_duration)
    }

    fn log_level(&mut self) -> LevelFilter {
        self.choice(
            &table::LOG_LEVEL,
            "error, warn, info, debug or trace",
            LevelFilter::Info,
        )
    }

    fn save(&mut self) -> SaveMode {
        let save = self.choice(
            &table::SAVE,
            "auto, always, on-success or never",
            SaveMode::Auto,
        );
        match (self.flag(&table::SAVE_ALWAYS), save) {
            (true, SaveMode::Never | SaveMode::OnSuccess) => {
                self.errors.push(InputError::Conflict {
                    first: table::SAVE.name,
                    second: table::SAVE_ALWAYS.name,
                    advice: "save-always: true is the same as save: always; omit one of them",
                });
                save
            }
            (true, SaveMode::Auto | SaveMode::Always) => SaveMode::Always,
            (false, _) => save,
        }
    }

    /// Any value of `upload-chunk-size` is valid: actions/cache ignores one that is not a number.
    fn ignored(&mut self) -> Vec<(&'static str, String)> {
        let specs = [
            &table::ENABLE_CROSS_OS_ARCHIVE,
            &table::UPLOAD_CHUNK_SIZE,
            &table::CACHE_WORKSPACE_CRATES,
            &table::CMD_FORMAT,
            &table::CACHE_PROVIDER,
        ];
        specs
            .into_iter()
            .filter_map(|spec| Some((spec.name, self.non_empty(spec)?)))
            .collect()
    }

    fn removed(&self) -> Vec<&'static RemovedInput> {
        let is_set = |input: &&RemovedInput| {
            let value = self.env.input(input.name);
            self.kind == ActionKind::Cache && value.is_some_and(|value| !value.is_empty())
        };
        table::REMOVED.iter().filter(is_set).collect()
    }

    /// The untrimmed value, or the default if it is missing.
    fn raw(&mut self, spec: &'static InputSpec) -> String {
        let offered = spec.offered_by.contains(&self.kind);
        let Some(value) = self.env.input(spec.name).filter(|_| offered) else {
            return spec.fallback().to_owned();
        };
        if let Some(text) = value.to_str() {
            return text.to_owned();
        }
        let value = value.to_string_lossy().into_owned();
        self.errors.push(InputError::NotUtf8 {
            name: spec.name,
            value,
        });
        spec.fallback().to_owned()
    }

    fn text(&mut self, spec: &'static InputSpec) -> String {
        js_trim(&self.raw(spec)).to_owned()
    }

    /// The trimmed value, unless it is empty.
    fn non_empty(&mut self, spec: &'static InputSpec) -> Option<String> {
        Some(self.text(spec)).filter(|text| !text.is_empty())
    }

    fn text_or_default(&mut self, spec: &'static InputSpec) -> String {
        self.non_empty(spec)
            .unwrap_or_else(|| spec.fallback().to_owned())
    }

    /// A boolean of actions/cache or rust-cache. An empty one is false there, whatever its default.
    fn flag(&mut self, spec: &'static InputSpec) -> bool {
        self.optional_flag(spec).unwrap_or(false)
    }

    /// `None` if it is empty.
    fn optional_flag(&mut self, spec: &'static InputSpec) -> Option<bool> {
        let text = self.non_empty(spec)?;
        self.parse(spec, text, BOOLEAN, values::keyword)
    }

    fn boolean(&mut self, spec: &'static InputSpec) -> bool {
        self.choice(spec, BOOLEAN, false)
    }

    fn choice<W: Keyword>(
        &mut self,
        spec: &'static InputSpec,
        allowed: &'static str,
        placeholder: W,
    ) -> W {
        self.value(spec, allowed, values::keyword, placeholder)
    }

    fn value<T>(
        &mut self,
        spec: &'static InputSpec,
        allowed: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        placeholder: T,
    ) -> T {
        let text = self.text_or_default(spec);
        self.parse(spec, text, allowed, parse)
            .unwrap_or(placeholder)
    }

    /// A value that `none` or an empty default turns off.
    fn optional<T>(
        &mut self,
        spec: &'static InputSpec,
        allowed: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text_or_default(spec);
        let off = text.is_empty() || text.eq_ignore_ascii_case("none");
        if off {
            None
        } else {
            self.parse(spec, text, allowed, parse)
        }
    }

    fn parse<T>(
        &mut self,
        spec: &'static InputSpec,
        text: String,
        allowed: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = parse(&text);
        if value.is_none() {
            self.errors.push(InputError::Invalid {
                name: spec.name,
                value: text,
                allowed,
            });
        }
        value
    }
}

/// The error says what is wrong, without the text itself.
#[cfg(feature = "remote")]
fn valid_remote(url: &str) -> Result<(), String> {
    match url {
        "none" => Ok(()),
        _ => crate::remote::RemoteConfig::parse(url).map(drop),
    }
}

#[cfg(not(feature = "remote"))]
fn valid_remote(url: &str) -> Result<(), String> {
    match url {
        "none" => Ok(()),
        _ => Err("this local-cache was built without the feature remote".to_owned()),
    }
}
