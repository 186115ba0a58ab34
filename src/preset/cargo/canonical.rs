//! One text for all ways to write the same TOML.

use toml::{Table, Value};

/// Reads TOML; the error is one line.
pub(super) fn parse(bytes: &[u8]) -> Result<Table, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    text.parse::<Table>().map_err(|error| one_line(error.message()))
}

/// The first line of a message.
pub(super) fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// The table as JSON, keys in order, without the tables and lists that are empty: they say what is not there.
pub(super) fn text(table: &Table) -> String {
    json(&Value::Table(table.clone())).map_or_else(String::new, |value| value.to_string())
}

fn json(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    match value {
        Value::String(text) => Some(Json::from(text.as_str())),
        Value::Integer(number) => Some(Json::from(*number)),
        Value::Float(number) => Some(Json::from(number.to_string())),
        Value::Boolean(flag) => Some(Json::from(*flag)),
        Value::Datetime(time) => Some(Json::from(time.to_string())),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => {
            Some(Json::Array(list.iter().map(|item| json(item).unwrap_or_default()).collect()))
        }
        Value::Table(table) => {
            let fields: serde_json::Map<_, _> =
                table.iter().filter_map(|(key, value)| Some((key.clone(), json(value)?))).collect();
            (!fields.is_empty()).then_some(Json::Object(fields))
        }
    }
}

/// The table below a key, empty where there is none.
pub(super) fn table<'t>(table: &'t Table, key: &str) -> Option<&'t Table> {
    table.get(key).and_then(Value::as_table)
}

/// The texts of a list, or the one text that stands for a list.
pub(super) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A copy of some keys of a table.
pub(super) fn only(table: &Table, keys: &[&str]) -> Table {
    keys.iter().filter_map(|&key| Some((key.to_owned(), table.get(key)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_comments_white_space_and_what_is_empty_do_not_count() {
        let one = parse(b"b = 1 # why\na = { y = [1, 2], x = 'z' }\n").unwrap();
        let other = parse(b"\n[a]\nx = \"z\"\ny = [\n  1,\n  2,\n]\n[c]\n[d]\ne = []\n").unwrap();
        assert_eq!(text(&one), r#"{"a":{"x":"z","y":[1,2]},"b":1}"#);
        assert_eq!(text(&other), r#"{"a":{"x":"z","y":[1,2]}}"#);
        assert_eq!(text(&Table::new()), "");
    }

    #[test]
    fn what_is_no_toml_is_said_in_one_line() {
        for bytes in [&b"<<<<<<< HEAD\n"[..], b"a = \xff", b"[a"] {
            let error = parse(bytes).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
        }
    }
}
