//! Restores and saves: by the program, and by the caches that show what the comparison finds.

use std::fs;

use super::super::whole;
use super::{Cache, Mode, Run};
use crate::cargo::fresh::support::files::{long_ago, set_times};
use crate::cargo::fresh::support::{Hit, place};

impl Run {
    pub(super) fn restore(&self, keeps_extraneous: bool) -> Result<Hit, String> {
        let saved = self.host.path("copied-target");
        match self.cache {
            Cache::Nothing => return Ok(Hit::Miss),
            Cache::OldTimes if !saved.exists() => return Ok(Hit::Miss),
            Cache::OldTimes => {
                self.remove_targets();
                place::copy(&saved, &self.target(), true);
                set_times(&self.host.place(), long_ago());
                return Ok(Hit::Exact);
            }
            Cache::Whole => {
                return Ok(if whole::restore(&self.host, &self.target()) {
                    Hit::Exact
                } else {
                    Hit::Miss
                });
            }
            Cache::Program => {}
        }
        let mut options = vec!["cargo", "restore", "--json"];
        if keeps_extraneous {
            options.push("--no-mirror");
        }
        if self.mode == Mode::Cargo {
            options.extend(["--freshness", "cargo"]);
        }
        let ran = self.host.local_cache(&self.host.checkout(), &options);
        if ran.code != Some(0) {
            return Err(format!("{ran:#?}"));
        }
        let json = ran.json();
        let caches = json["caches"].as_array().unwrap();
        let target = caches
            .iter()
            .find(|cache| cache["kind"] == "target")
            .unwrap();
        Ok(if target["cache-hit"] == "miss" {
            Hit::Miss
        } else {
            Hit::Exact
        })
    }

    pub(super) fn save(&self, moves: bool, is_disturbed: bool) -> Result<(), String> {
        match self.cache {
            Cache::Nothing => return Ok(()),
            Cache::OldTimes => {
                let saved = self.host.path("copied-target");
                drop(fs::remove_dir_all(&saved));
                if self.target().exists() {
                    place::copy(&self.target(), &saved, true);
                }
                return Ok(());
            }
            Cache::Whole => {
                whole::save(&self.host, &self.target(), is_disturbed);
                return Ok(());
            }
            Cache::Program => {}
        }
        let mut options = vec!["cargo", "save"];
        if moves {
            options.push("--move");
        }
        if self.mode == Mode::Cargo {
            options.extend(["--freshness", "cargo"]);
        }
        let ran = self.host.local_cache(&self.host.checkout(), &options);
        if ran.code == Some(0) {
            Ok(())
        } else {
            Err(format!("{ran:#?}"))
        }
    }
}
