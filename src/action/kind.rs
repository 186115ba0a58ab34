//! Which of the repository's three actions a process runs.
//!
//! All three use the same image and entrypoints, so the entrypoint's name tells only the phase.
//! `runs.args` in each action.yml names the action. The runner passes these in every phase and
//! ignores a step's own `with: args` (actions/runner, ContainerActionHandler.cs). An environment
//! variable would be worse: one of the same name that the job sets overrides `runs.env`.

use std::ffi::OsStr;

use thiserror::Error;

use crate::stats::event::Phase;

/// One of the actions of this repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// The action itself: restores in its main phase, saves in its post phase.
    Cache,
    /// `restore/`: restores, never saves.
    Restore,
    /// `save/`: saves, never restores.
    Save,
}

/// How a process of an action was started.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    pub phase: Phase,
    pub kind: ActionKind,
    /// Beside the steps, by the native action. Otherwise in a container of its own.
    pub beside_steps: bool,
}

/// Arguments that name none of the actions.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("argument {0:?} names no action; use cache, restore or save, once")]
pub struct UnknownKind(String);

impl ActionKind {
    pub const ALL: &[Self] = &[Self::Cache, Self::Restore, Self::Save];

    /// The name in `runs.args`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Restore => "restore",
            Self::Save => "save",
        }
    }

    /// Reads the arguments after the phase; without any it is [`ActionKind::Cache`].
    pub fn from_args<S: AsRef<OsStr>>(args: &[S]) -> Result<Self, UnknownKind> {
        match args {
            [] => Ok(Self::Cache),
            [only] => Self::ALL
                .iter()
                .copied()
                .find(|kind| OsStr::new(kind.name()) == only.as_ref())
                .ok_or_else(|| UnknownKind(only.as_ref().to_string_lossy().into_owned())),
            [_, second, ..] => Err(UnknownKind(second.as_ref().to_string_lossy().into_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_the_action_and_none_means_cache() {
        assert_eq!(ActionKind::from_args::<&str>(&[]), Ok(ActionKind::Cache));
        for kind in ActionKind::ALL {
            assert_eq!(ActionKind::from_args(&[kind.name()]), Ok(*kind));
        }
    }

    #[test]
    fn other_arguments_are_refused_with_their_text() {
        let error = ActionKind::from_args(&["Restore"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "argument \"Restore\" names no action; use cache, restore or save, once"
        );
        assert_eq!(
            ActionKind::from_args(&["save", "x"]),
            Err(UnknownKind("x".into()))
        );
    }
}
