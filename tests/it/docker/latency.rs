//! What a helper costs, measured against what the runner's own `docker run` costs in the same minute.

use serde_json::json;
use std::io::{self, Write};

use super::kit;
use super::runner::Runner;

/// The most that a phase with a helper and nothing to do may cost, in runs of a container that does nothing.
const MOST: f64 = 1.6;

#[test]
fn a_phase_with_a_helper_costs_at_most_1_6_containers_that_do_nothing() {
    if !kit::ready("docker") {
        return;
    }
    let _lock = kit::alone();
    let runner = Runner::new();
    let (mut nothing, mut phase) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        // The far side with its input at its end: it ends at once.
        let idle = runner.stage(&json!([])).argument("far").run();
        let busy = runner.stage(&json!(["Nothing"])).run();
        assert_eq!(busy.reply(), &json!([null]));
        nothing.push(idle.elapsed.as_secs_f64() * 1e3);
        phase.push(busy.elapsed.as_secs_f64() * 1e3);
    }
    nothing.sort_by(f64::total_cmp);
    phase.sort_by(f64::total_cmp);
    let (median, least) = (phase[4] / nothing[4], phase[0] / nothing[0]);
    let line = format!(
        "helper: phase {:.0} ms, nothing {:.0} ms (medians of 9): {median:.2}; least {:.0} and {:.0} ms: {least:.2}",
        phase[4], nothing[4], phase[0], nothing[0]
    );
    drop(writeln!(io::stderr(), "{line}"));
    // What else the machine does makes either slower at times, but not both figures at once.
    assert!(median <= MOST || least <= MOST, "{line}");
}
