//! Edits of a snapshot that somebody might make: any place of its JSON, in any of these ways.

use proptest::sample::Index;
use serde_json::{Value, json};

/// How many ways there are.
pub const EDITS: u8 = 10;

/// Edits the place of a value that an index picks.
pub fn edit(value: &mut Value, place: Index, how: u8) {
    let count = places(value);
    let value = at(value, place.index(count));
    let edited = match (how, &*value) {
        (0, _) => json!(null),
        (1, Value::Bool(was)) => json!(!was),
        (2, Value::Number(_)) => json!(0),
        (3, Value::Number(_)) => json!(u64::MAX),
        (4, Value::Number(_)) => json!(255),
        (5, Value::Number(was)) => json!(was.as_u64().map(|was| was.wrapping_add(1))),
        (6, Value::Array(items)) if !items.is_empty() => {
            Value::Array(items.iter().chain(items.first()).cloned().collect())
        }
        (7, Value::Array(items)) => Value::Array(items.iter().skip(1).cloned().collect()),
        (8, Value::String(_)) => json!("eth1"),
        (9, Value::String(_)) => json!("Absent"),
        (_, was) => was.clone(),
    };
    *value = edited;
}

/// How many places of a value can be edited.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(fields) => fields.values().map(places).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value at a place, counted from 0 in the order in which it is printed.
fn at(value: &mut Value, place: usize) -> &mut Value {
    if place == 0 {
        return value;
    }
    let mut left = place - 1;
    let items: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for item in items {
        let count = places(item);
        if left < count {
            return at(item, left);
        }
        left -= count;
    }
    unreachable!("there are fewer places")
}
