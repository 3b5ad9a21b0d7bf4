//! The names of all keys in a part of a JSON Schema.

use std::collections::BTreeSet;

use serde_json::Value;

/// The names of all keys in `part` of the schema `root`, at any depth.
pub fn schema_keys(part: &Value, root: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(part, root, &mut found);
    found
}

fn collect(part: &Value, root: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", Value::String(pointer)) => {
                        let referenced = root.pointer(pointer.trim_start_matches('#'));
                        collect(referenced.unwrap(), root, found);
                    }
                    ("properties", Value::Object(properties)) => {
                        for (key, property) in properties {
                            found.insert(key.clone());
                            collect(property, root, found);
                        }
                    }
                    _ => collect(member, root, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, root, found)),
        _ => {}
    }
}
