//! The JSON Schema and the loader judge files alike: real files of the repository, faulty ones, and one for each key with each kind of
//! value. What a schema can't express is listed in [`BEYOND_SCHEMA`], by the loader's message.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use upkeep_exporter::config::{parse_bytes, schema, yaml};

use super::beyond_schema::BEYOND_SCHEMA;
use super::validate::{is_valid, validate};

/// One value of each kind, as written in YAML.
const VALUES: &[&str] = &[
    "1",
    "0",
    "-1",
    "1.5",
    "70000",
    "\"5\"",
    "abc",
    "true",
    "yes",
    "[]",
    "[abc]",
    "[1]",
    "{}",
    "{abc: 1}",
    "10s",
    "90%",
    "/a",
    "2xx",
    "\"\"",
    "~",
    "\"http://127.0.0.1:1/\"",
];

/// The options that a check of each kind needs.
const CHECKS: &[(&str, &str)] = &[
    ("http", "url: \"http://a/\""),
    ("websocket", "url: \"ws://a/\""),
    ("tcp", "address: \"a:1\""),
    ("systemd", "unit: a.service"),
    ("process", "match: a"),
    ("postgres", "url: \"postgres://u@a/d\""),
    ("redis", "url: \"redis://a\""),
    ("rabbitmq", "url: \"amqp://u:p@a/\""),
    ("s3", "endpoint: \"http://a:1\", access_key: a, secret_key: b"),
    ("celery", "broker_url: \"redis://a\""),
    ("docker", "container: a"),
    ("dns", "server: a, query_name: a"),
    ("icmp", "host: a"),
    ("unix", "path: /a"),
    ("grpc", "address: \"a:1\""),
    ("host", "cpu_below: 90%"),
    ("memcached", "address: \"a:1\""),
    ("port", "port: 1"),
    ("provider", "provider: openai, api_key: a"),
    ("python", "environment: /a"),
    ("node", "directory: /a"),
    ("exec", "command: [/a]"),
    ("heartbeat", "token: 0123456789abcdef, every: 1h"),
];

/// A file, and the name under which it is reported.
struct File {
    name: String,
    bytes: Vec<u8>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a directory.
fn files(directory: &str) -> Vec<File> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == "yml") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            files.push(File {
                name,
                bytes: fs::read(&path).unwrap(),
            });
        }
    }
    files
}

fn real_files() -> Vec<File> {
    let mut files: Vec<File> = ["config", "tests/bad-config", "tests/probe/corpus", "tests/config"]
        .into_iter()
        .flat_map(files)
        .collect();
    files.extend(super::settings::VALID.iter().map(|text| File {
        name: text.to_string(),
        bytes: text.as_bytes().to_vec(),
    }));
    files
}

/// A mapping of the schema, with the text of a file around it. `§` stands for its entries.
struct Mapping {
    frame: String,
    /// The entries that it needs, by key.
    base: BTreeMap<String, String>,
    properties: Value,
}

/// Splits `a: b, c: d`.
fn entries(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(", ").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once(": ").unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn mapping(frame: &str, base: &str, schema: &Value) -> Mapping {
    Mapping {
        frame: frame.to_owned(),
        base: entries(base),
        properties: schema["properties"].clone(),
    }
}

/// The mappings of a file that are not within another one of these.
fn mappings(document: &Value) -> Vec<Mapping> {
    let service = &document["properties"]["services"]["items"];
    let level = &document["properties"]["defaults"]["anyOf"][0];
    let module = &document["properties"]["modules"]["additionalProperties"];
    let mut found = vec![
        mapping("{§}", "services: [{key: a, port: 1}]", document),
        mapping("services: [{§}]", "key: a, port: 1", service),
        mapping("{defaults: {§}, services: [{key: a, port: 1}]}", "", level),
        mapping(
            "{tiers: {tolerant: {§}}, services: [{key: a, port: 1}]}",
            "",
            level,
        ),
        mapping(
            "{probe: {§}, services: [{key: a, port: 1}]}",
            "",
            &document["properties"]["probe"],
        ),
        mapping(
            "{maintenance: [{§}], services: [{key: a, port: 1}]}",
            "for: 1h, at: \"2026-12-24 22:00\"",
            &document["properties"]["maintenance"]["items"],
        ),
        mapping("modules: {a: {§}}", "prober: http", module),
    ];
    for check in service["properties"]["checks"]["items"]["anyOf"]
        .as_array()
        .unwrap()
    {
        let kind = check["properties"]["kind"]["const"].as_str().unwrap();
        let (_, base) = CHECKS.iter().find(|(known, _)| *known == kind).expect(kind);
        let base = format!("kind: {kind}, {base}");
        found.push(mapping("services: [{key: a, checks: [{§}]}]", &base, check));
    }
    for (prober, options) in module["properties"].as_object().unwrap() {
        if options.get("properties").is_some() {
            let base = if prober == "dns" { "query_name: a" } else { "" };
            found.push(mapping(
                &format!("modules: {{a: {{prober: {prober}, {prober}: {{§}}}}}}"),
                base,
                options,
            ));
        }
    }
    found
}

/// The properties of the mapping that a value of this schema may be, and whether it is an item of a list.
fn nested(schema: &Value, document: &Value) -> Option<(bool, Value)> {
    if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
        return nested(
            document.pointer(pointer.trim_start_matches('#')).unwrap(),
            document,
        );
    }
    if schema.get("properties").is_some() {
        return Some((false, schema.clone()));
    }
    if let Some(items) = schema.get("items") {
        return nested(items, document).map(|(_, inner)| (true, inner));
    }
    let forms = schema.get("anyOf").and_then(Value::as_array)?;
    forms.iter().find_map(|form| nested(form, document))
}

/// The entries that a nested mapping needs.
fn nested_base(key: &str) -> &'static str {
    match key {
        "fail_if_header_matches" | "fail_if_header_not_matches" => "header: A, regexp: b",
        "extract" => "path: $.a, name: a",
        "basic_auth" => "username: a, password: b",
        "authorization" => "credentials: a",
        "queues" => "name: a",
        "certificate" => "warn_before: 1s",
        "disks" => "path: /",
        "labels" => "name: a",
        "alerts" => "consecutive_failures: 1",
        "allow" => "hosts: [a]",
        "oauth2" => "client_id: a, client_secret: b, token_url: \"http://a/\"",
        _ => "",
    }
}

fn write(frame: &str, base: &BTreeMap<String, String>, key: &str, value: &str) -> String {
    let others = base.iter().filter(|(other, _)| *other != key);
    let mut entries: Vec<String> = others.map(|(key, value)| format!("{key}: {value}")).collect();
    entries.push(format!("{key}: {value}"));
    frame.replacen('§', &entries.join(", "), 1)
}

/// One file for each key of a mapping and each value, and for the keys of mappings in it.
fn generate(
    mapping: &Mapping,
    document: &Value,
    depth: usize,
    seen: &mut BTreeSet<String>,
    files: &mut Vec<String>,
) {
    // The rules of process groups are templates, with tests of their own.
    let properties = mapping.properties.as_object().unwrap().iter();
    for (key, schema) in properties.filter(|(key, _)| *key != "process_groups") {
        let identity = format!("{key} {schema}");
        // A key that several kinds have is tested once with all values.
        let is_new = seen.insert(identity);
        let values = if is_new { VALUES } else { &VALUES[..2] };
        files.extend(
            values
                .iter()
                .map(|value| write(&mapping.frame, &mapping.base, key, value)),
        );
        let is_section = depth == 0
            && [
                "services",
                "modules",
                "defaults",
                "tiers",
                "probe",
                "maintenance",
                "checks",
            ]
            .contains(&key.as_str());
        if let (true, false, Some((is_list, inner))) = (is_new, is_section, nested(schema, document)) {
            let value = if is_list { "[{§}]" } else { "{§}" };
            let frame = write(&mapping.frame, &mapping.base, key, value);
            let inner = Mapping {
                frame,
                base: entries(nested_base(key)),
                properties: inner["properties"].clone(),
            };
            generate(&inner, document, depth + 1, seen, files);
        }
    }
    files.push(write(&mapping.frame, &mapping.base, "unknown_key", "1"));
}

fn generated_files() -> Vec<File> {
    let document = schema::document();
    let (mut seen, mut texts) = (BTreeSet::new(), Vec::new());
    for mapping in mappings(&document) {
        generate(&mapping, &document, 0, &mut seen, &mut texts);
    }
    texts
        .into_iter()
        .map(|text| File {
            name: text.clone(),
            bytes: text.into_bytes(),
        })
        .collect()
}

/// The judgements that differ.
fn disagreements(files: Vec<File>) -> (usize, BTreeSet<String>, Vec<String>) {
    let (mut count, mut used, mut wrong) = (0, BTreeSet::new(), Vec::new());
    for File { name, bytes } in files {
        let Ok(text) = std::str::from_utf8(&bytes) else {
            continue;
        };
        // Editors show binary data as the text that is written.
        let text = text.trim_start_matches('\u{feff}').replace("!!binary", "!!str");
        let (Some(tree), problems) = yaml::parse(&text) else {
            continue;
        };
        if !problems.is_empty() {
            continue;
        }
        count += 1;
        let value: Value = yaml::from_node(&tree).unwrap();
        let loaded = parse_bytes(&bytes, "a.yml");
        match (loaded, is_valid(&value)) {
            (Ok(_), true) | (Err(_), false) => {}
            (Ok(_), false) => wrong.push(format!("only the schema rejects {name}: {:?}", validate(&value))),
            (Err(error), true) => {
                for error in &error.errors {
                    let mut parts = BEYOND_SCHEMA.iter().flat_map(|(_, parts)| *parts);
                    match parts.find(|part| error.message.contains(**part)) {
                        Some(part) => drop(used.insert((*part).to_owned())),
                        None => wrong.push(format!(
                            "only the loader rejects {name}: {}: {}",
                            error.path, error.message
                        )),
                    }
                }
            }
        }
    }
    (count, used, wrong)
}

#[test]
fn schema_and_loader_agree() {
    let real = real_files();
    assert!(real.len() > 150, "{} files", real.len());
    let generated = generated_files();
    let (count, used, wrong) = disagreements(real.into_iter().chain(generated).collect());
    assert!(count > 3000, "{count} files");
    assert!(
        wrong.is_empty(),
        "{} disagreements in {count} files:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let parts = BEYOND_SCHEMA.iter().flat_map(|(_, parts)| *parts);
    let unused: Vec<_> = parts.filter(|part| !used.contains(**part)).collect();
    assert!(
        unused.is_empty(),
        "no file has errors with {unused:?}: remove them from the list"
    );
}
