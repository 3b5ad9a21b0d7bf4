//! The JSON Schema of configuration files, for editors. It is generated from the option types, which also read the files.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::certificate::CertificateKeys;
use super::exec_directories::ExecRootOptions;
use super::kinds;
use super::maintenance::MaintenanceOptions;
use super::options::{
    CheckOptions, RootOptions, ServiceOptions, SharedServiceOptions, ShortFormOptions, TimingOptions,
};
use super::probe::{self, ProbeOptions};
use super::process_groups;
use super::schema_parts::part;
use super::schema_scalars::{ANY_SCALAR, accept_spellings};
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
    // Without a key, the key is made of the name.
    service["anyOf"] = json!([
        { "required": ["key"], "properties": { "key": { "not": { "type": "null" } } } },
        { "required": ["name"], "properties": { "name": { "not": { "type": "null" }, "pattern": "[A-Za-z0-9]" } } },
    ]);
    service["properties"]["key"]["pattern"] = json!(KEY);
    service["properties"]["key"]["$comment"] = json!(ANY_SCALAR);
    for (key, _) in part::<ShortFormOptions>(&mut generator) {
        allow_empty(&mut service["properties"][key]);
    }
    service["properties"]["checks"] = json!({
        "description": "The checks, in addition to those of the short form.",
        "type": ["array", "null"],
        "items": { "anyOf": checks },
    });
    let mut module = object(&mut generator, &[probe::properties]);
    module["required"] = json!(["prober"]);
    require(&mut module["properties"]["dns"], "query_name");
    module["if"] = json!({ "properties": { "prober": { "const": "dns" } } });
    module["then"] = json!({ "required": ["dns"], "properties": { "dns": { "type": "object" } } });
    let probe_options = part::<ProbeOptions>(&mut generator);
    let groups = process_groups::schema(&mut generator);
    let exec = object(&mut generator, &[part::<ExecRootOptions>]);
    let mut window = object(&mut generator, &[part::<MaintenanceOptions>]);
    require(&mut window, "for");
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
        &mut properties["exec"],
        json!({ "anyOf": [exec, { "type": "null" }] }),
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
    let is_given = |section: &str| json!({ "required": [section], "properties": { section: { "not": { "type": "null" } } } });
    root["anyOf"] = json!([
        { "required": ["services"], "properties": { "services": { "type": "array", "minItems": 1 } } },
        is_given("modules"),
        is_given("process_groups"),
    ]);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("Configuration of upkeep_exporter");
    root["definitions"] = Value::Object(generator.take_definitions(true));
    for (name, keys) in [
        ("ExtractOptions", &["path", "name"][..]),
        ("QueueOptions", &["name"]),
        ("DiskOptions", &["mount"]),
        ("OAuth2Options", &["client_id", "token_url"]),
    ] {
        for key in keys {
            require(&mut root["definitions"][name], key);
        }
    }
    accept_spellings(&mut root);
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
    for key in required(kind) {
        require(&mut schema, key);
    }
    schema["properties"]["kind"] = json!({ "description": "The kind of check.", "const": kind.as_str() });
    schema["properties"]["name"]["pattern"] = json!(KEY);
    schema["properties"]["name"]["$comment"] = json!(ANY_SCALAR);
    schema
}

/// The keys that every check of a kind needs.
fn required(kind: CheckKind) -> &'static [&'static str] {
    match kind {
        CheckKind::Http
        | CheckKind::Websocket
        | CheckKind::Postgres
        | CheckKind::Redis
        | CheckKind::Rabbitmq => &["url"],
        CheckKind::Tcp | CheckKind::Grpc | CheckKind::Memcached => &["address"],
        CheckKind::Systemd => &["unit"],
        CheckKind::S3 => &["endpoint"],
        CheckKind::Celery => &["broker_url"],
        CheckKind::Docker => &["container"],
        CheckKind::Dns => &["server", "query_name"],
        CheckKind::Icmp => &["host"],
        CheckKind::Unix => &["path"],
        CheckKind::Port => &["port"],
        CheckKind::Provider => &["provider"],
        CheckKind::Node => &["directory"],
        CheckKind::Exec => &["command"],
        // One of several keys, or none.
        CheckKind::Process | CheckKind::Host | CheckKind::Python | CheckKind::Heartbeat => &[],
    }
}

/// Accepts an empty text and an empty list, which the short form ignores.
fn allow_empty(property: &mut Value) {
    let schema = property.take();
    *property = json!({ "description": schema["description"], "anyOf": [schema, { "enum": ["", []] }] });
}

/// Requires a property of an object: it must be there, and not null.
fn require(object: &mut Value, key: &str) {
    match object["required"].as_array_mut() {
        Some(required) => required.push(json!(key)),
        None => object["required"] = json!([key]),
    }
    let property = &mut object["properties"][key];
    let is_null = |name: &Value| name == "null" || name["type"] == "null";
    for keyword in ["type", "anyOf"] {
        if let Some(forms) = property.get_mut(keyword).and_then(Value::as_array_mut) {
            forms.retain(|form| !is_null(form));
        }
    }
}

type Part = fn(&mut SchemaGenerator) -> Map<String, Value>;

/// An object with exactly the properties of all parts.
fn object(generator: &mut SchemaGenerator, parts: &[Part]) -> Value {
    let properties: Map<String, Value> = parts.iter().flat_map(|part| part(generator)).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}
