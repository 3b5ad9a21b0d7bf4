//! Validates files with the JSON Schema, as an editor does.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use upkeep_exporter::config::schema;

static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::draft7::new(&schema::document()).unwrap());

/// The errors of a file, with their paths.
pub fn validate(value: &Value) -> Vec<String> {
    let errors = VALIDATOR.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Whether a file conforms to the schema.
pub fn is_valid(value: &Value) -> bool {
    VALIDATOR.is_valid(value)
}
