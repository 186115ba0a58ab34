//! Inputs as steps write them, and the values they are parsed into.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute, and helpers have none"
)]

mod step;
mod values;

use local_cache::action::{ActionKind, Env, InputErrors, Inputs, env};

fn parse_as(kind: ActionKind, inputs: &[(&str, &str)]) -> Result<Inputs, InputErrors> {
    let env: Env = inputs
        .iter()
        .map(|(name, value)| (env::input_variable(name), *value))
        .collect();
    Inputs::parse(&env, kind)
}

fn parse(inputs: &[(&str, &str)]) -> Inputs {
    parse_as(ActionKind::Cache, inputs).unwrap()
}

fn errors(kind: ActionKind, inputs: &[(&str, &str)]) -> Vec<String> {
    parse_as(kind, inputs)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The text of the only error for a value of an input.
fn refused(name: &str, value: &str) -> String {
    let mut errors = errors(ActionKind::Cache, &[(name, value)]);
    assert_eq!(errors.len(), 1, "{name}: {value:?}: {errors:?}");
    errors.remove(0)
}
