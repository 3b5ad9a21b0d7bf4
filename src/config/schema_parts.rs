//! Parts of the JSON Schema that option types contribute.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::schema_scalars::ANY_SCALAR;

/// The properties of an option type.
pub fn part<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    match T::json_schema(generator).get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    }
}

/// The schema of a string or a list of strings.
pub fn text_or_texts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "array", "null"], "items": { "type": "string" }, "$comment": ANY_SCALAR })
}
