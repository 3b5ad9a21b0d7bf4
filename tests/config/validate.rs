//! A validator for the part of JSON Schema that the schema of the configuration uses. Other keywords are errors.

use serde_json::Value;

/// Keywords without an effect on validation.
const ANNOTATIONS: [&str; 9] = [
    "$schema",
    "title",
    "description",
    "default",
    "definitions",
    "examples",
    "format",
    "readOnly",
    "$comment",
];

/// The errors of `value`, with their paths.
pub fn validate(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    Validator { root: schema }.check(schema, value, "", &mut errors);
    errors
}

struct Validator<'a> {
    root: &'a Value,
}

impl Validator<'_> {
    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, errors: &mut Vec<String>) {
        let Value::Object(keywords) = schema else {
            if schema == &Value::Bool(false) {
                errors.push(format!("{path}: not allowed"));
            }
            return;
        };
        for (keyword, argument) in keywords {
            let holds = match keyword.as_str() {
                "$ref" => {
                    let pointer = argument.as_str().unwrap().trim_start_matches('#');
                    self.check(self.root.pointer(pointer).unwrap(), value, path, errors);
                    true
                }
                "properties" => {
                    for (key, schema) in argument.as_object().unwrap() {
                        if let Some(value) = value.get(key) {
                            self.check(schema, value, &format!("{path}.{key}"), errors);
                        }
                    }
                    true
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(argument, item, &format!("{path}[{index}]"), errors);
                    }
                    true
                }
                "additionalProperties" => self.additional(keywords, argument, value, path, errors),
                "anyOf" => argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|schema| self.is_valid(schema, value)),
                "oneOf" => {
                    argument
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter(|schema| self.is_valid(schema, value))
                        .count()
                        == 1
                }
                "allOf" => argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|schema| self.is_valid(schema, value)),
                "required" => argument
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|key| !value.is_object() || value.get(key.as_str().unwrap()).is_some()),
                "const" => argument == value,
                "enum" => argument.as_array().unwrap().contains(value),
                "type" => match argument {
                    Value::Array(names) => names.iter().any(|name| has_type(name.as_str().unwrap(), value)),
                    name => has_type(name.as_str().unwrap(), value),
                },
                "pattern" => value.as_str().is_none_or(|text| {
                    regex::Regex::new(argument.as_str().unwrap())
                        .unwrap()
                        .is_match(text)
                }),
                "minimum" => value
                    .as_f64()
                    .is_none_or(|number| number >= argument.as_f64().unwrap()),
                "maximum" => value
                    .as_f64()
                    .is_none_or(|number| number <= argument.as_f64().unwrap()),
                "minItems" => value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= argument.as_u64().unwrap()),
                "maxProperties" => value
                    .as_object()
                    .is_none_or(|map| map.len() as u64 <= argument.as_u64().unwrap()),
                other => ANNOTATIONS.contains(&other),
            };
            if !holds {
                errors.push(format!("{path}: {keyword} {argument} does not hold"));
            }
        }
    }

    fn additional(
        &self,
        keywords: &serde_json::Map<String, Value>,
        argument: &Value,
        value: &Value,
        path: &str,
        errors: &mut Vec<String>,
    ) -> bool {
        let known = keywords.get("properties").and_then(Value::as_object);
        for (key, value) in value.as_object().into_iter().flatten() {
            if known.is_none_or(|known| !known.contains_key(key)) {
                self.check(argument, value, &format!("{path}.{key}"), errors);
            }
        }
        true
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
