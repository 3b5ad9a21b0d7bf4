//! The JSON Schema of configuration files, for editors. It is generated from the option types, which also read the files.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::certificate::CertificateKeys;
use super::kinds;
use super::maintenance::MaintenanceOptions;
use super::options::{
    CheckOptions, RootOptions, ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions,
};
use super::probe::{self, ProbeOptions};
use super::process_groups;
use super::schema_parts::part;
use crate::model::CheckKind;

/// The pattern of identifiers.
const KEY: &str = "^[a-z0-9_.-]{1,64}$";

/// The schema of a configuration file.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let level = object(
        &mut generator,
        &[part::<TimingOptions>, part::<SharedServiceOptions>],
    );
    let checks: Vec<Value> = CheckKind::ALL
        .iter()
        .map(|kind| check(*kind, &mut generator))
        .collect();
    let mut service = object(
        &mut generator,
        &[
            part::<ServiceOptions>,
            part::<ShortFormOptions>,
            part::<TimingOptions>,
            part::<SharedServiceOptions>,
        ],
    );
    service["required"] = json!(["key"]);
    service["properties"]["key"]["pattern"] = json!(KEY);
    service["properties"]["checks"] = json!({
        "description": "The checks, in addition to those of the short form.",
        "type": ["array", "null"],
        "items": { "anyOf": checks },
    });
    let module = object(&mut generator, &[probe::properties]);
    let probe_options = part::<ProbeOptions>(&mut generator);
    let groups = process_groups::schema(&mut generator);
    let mut window = object(&mut generator, &[part::<MaintenanceOptions>]);
    window["required"] = json!(["for"]);
    let mut root = object(&mut generator, &[part::<RootOptions>]);
    let properties = &mut root["properties"];
    set(
        &mut properties["defaults"],
        json!({ "anyOf": [level.clone(), { "type": "null" }] }),
    );
    let tiers = json!({
        "type": ["object", "null"],
        "properties": { "critical": level.clone(), "tolerant": level },
        "additionalProperties": false,
    });
    set(&mut properties["tiers"], tiers);
    set(
        &mut properties["modules"],
        json!({ "type": ["object", "null"], "additionalProperties": module }),
    );
    set(
        &mut properties["probe"],
        json!({ "type": ["object", "null"], "properties": probe_options, "additionalProperties": false }),
    );
    set(
        &mut properties["maintenance"],
        json!({ "type": ["array", "null"], "items": window }),
    );
    set(&mut properties["process_groups"], groups.to_value());
    set(&mut properties["logging"], json!({ "type": ["object", "null"] }));
    set(
        &mut properties["services"],
        json!({ "type": ["array", "null"], "items": service }),
    );
    // The list of services may be empty if there are other sections.
    root["anyOf"] = json!([
        { "required": ["services"], "properties": { "services": { "type": "array", "minItems": 1 } } },
        { "required": ["modules"], "properties": { "modules": { "type": "object" } } },
        { "required": ["process_groups"], "properties": { "process_groups": { "type": "object" } } },
    ]);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Configuration of upkeep_exporter");
    root["definitions"] = Value::Object(generator.take_definitions(true));
    root
}

/// Replaces a property's schema and keeps its description.
fn set(property: &mut Value, mut schema: Value) {
    schema["description"] = property["description"].take();
    *property = schema;
}

fn check(kind: CheckKind, generator: &mut SchemaGenerator) -> Value {
    let mut schema = object(generator, &[part::<CheckOptions>, part::<TimingOptions>]);
    if let Value::Object(common) = &mut schema["properties"] {
        if kinds::sees_certificates(kind) {
            common.extend(part::<CertificateKeys>(generator));
        }
        common.extend(kinds::properties(kind, generator));
    }
    schema["title"] = json!(format!("{kind} check"));
    schema["required"] = json!(["kind"]);
    schema["properties"]["kind"] = json!({ "description": "The kind of check.", "const": kind.as_str() });
    schema["properties"]["name"]["pattern"] = json!(KEY);
    schema
}

type Part = fn(&mut SchemaGenerator) -> Map<String, Value>;

/// An object with exactly the properties of all parts.
fn object(generator: &mut SchemaGenerator, parts: &[Part]) -> Value {
    let properties: Map<String, Value> = parts.iter().flat_map(|part| part(generator)).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}
