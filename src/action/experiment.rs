//! Which runs restore nothing, as a control group that shows what the cache saves (pure).
//!
//! A digest of the run id and the attempt decides, so all jobs of a run are in the same group: a
//! job that waits for others is slow or fast with them. Nothing else is in the digest, so anybody
//! can check the choice, and a re-run is drawn again.

use sha2::{Digest as _, Sha256};

use super::context::WorkflowContext;
use super::inputs::Inputs;
use crate::stats::event::Arm;

/// The group of a step's run; none without an experiment, and for a step that needs its cache or
/// only looks it up.
pub fn arm(inputs: &Inputs, context: &WorkflowContext) -> Option<Arm> {
    if inputs.fail_on_cache_miss || inputs.lookup_only {
        return None;
    }
    draw_arm(
        inputs.experiment,
        context.run_id?,
        context.run_attempt.unwrap_or(1),
    )
}

/// Draws the group of a run: `percent` of all runs are in the control group.
pub fn draw_arm(percent: u8, run_id: u64, attempt: u32) -> Option<Arm> {
    if percent == 0 {
        return None;
    }
    let digest = Sha256::digest(format!("local-cache experiment {run_id} {attempt}"));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let drawn = u64::from_le_bytes(first) % 100;
    Some(if drawn < u64::from(percent) {
        Arm::Control
    } else {
        Arm::Cached
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_runs_as_asked_for_are_in_the_control_group() {
        for percent in [1, 10, 50, 99] {
            let count = (0..10_000)
                .filter(|run| draw_arm(percent, 9_000_000_000 + run, 1) == Some(Arm::Control))
                .count();
            let wanted = 100 * usize::from(percent);
            assert!(
                count.abs_diff(wanted) < 200,
                "{count} of 10,000 at {percent} percent"
            );
        }
    }

    #[test]
    fn the_choice_is_the_same_every_time_and_new_for_each_attempt() {
        assert_eq!(draw_arm(0, 7, 1), None);
        assert_eq!(
            (draw_arm(100, 7, 1), draw_arm(100, 7, 2)),
            (Some(Arm::Control), Some(Arm::Control))
        );
        // A choice that changed from one version to the next would mix the groups of runs under
        // way.
        let drawn: Vec<bool> = (1..=16)
            .map(|run| draw_arm(50, run, 1) == Some(Arm::Control))
            .collect();
        let again: Vec<bool> = (1..=16)
            .map(|run| draw_arm(50, run, 2) == Some(Arm::Control))
            .collect();
        assert_ne!(drawn, again);
        assert_eq!(
            drawn,
            (1..=16)
                .map(|run| draw_arm(50, run, 1) == Some(Arm::Control))
                .collect::<Vec<_>>()
        );
    }
}
