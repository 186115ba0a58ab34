//! One canonical text for all ways to write the same TOML.

use toml::{Table, Value};

/// The error is one line.
pub(crate) fn parse(bytes: &[u8]) -> Result<Table, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    text.parse::<Table>()
        .map_err(|error| first_line(error.message()))
}

pub(crate) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// The table as JSON with sorted keys; empty for an empty table.
pub(crate) fn text(table: &Table) -> String {
    if table.is_empty() {
        String::new()
    } else {
        json(&Value::Table(table.clone())).to_string()
    }
}

fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(number.to_string()),
        Value::Boolean(flag) => Json::from(*flag),
        Value::Datetime(time) => Json::from(time.to_string()),
        Value::Array(list) => list.iter().map(json).collect(),
        Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}

/// Inserts a table unless it is empty: a heading alone has no meaning.
pub(crate) fn insert(into: &mut Table, key: &str, value: Table) {
    if !value.is_empty() {
        into.insert(key.to_owned(), Value::Table(value));
    }
}

pub(crate) fn table<'t>(table: &'t Table, key: &str) -> Option<&'t Table> {
    table.get(key).and_then(Value::as_table)
}

/// The strings of an array, or a single string in place of an array.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn only(table: &Table, keys: &[&str]) -> Table {
    keys.iter()
        .filter_map(|&key| Some((key.to_owned(), table.get(key)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_comments_white_space_and_empty_tables_do_not_count() {
        let one = parse(b"b = 1 # why\na = { y = [1, 2], x = 'z' }\n").unwrap();
        let other = parse(b"\n[a]\nx = \"z\"\ny = [\n  1,\n  2,\n]\n").unwrap();
        assert_eq!(text(&one), r#"{"a":{"x":"z","y":[1,2]},"b":1}"#);
        assert_eq!(text(&other), r#"{"a":{"x":"z","y":[1,2]}}"#);
        let (mut table, empty) = (other.clone(), Table::new());
        insert(&mut table, "c", empty);
        assert_eq!(table, other);
        assert_eq!(text(&Table::new()), "");
    }

    #[test]
    fn a_syntax_error_is_reported_in_one_line() {
        for bytes in [&b"<<<<<<< HEAD\n"[..], b"a = \xff", b"[a"] {
            let error = parse(bytes).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
        }
    }
}
