//! What an http check takes out of a JSON body: numbers, and the version of what answers.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::json_path::JsonPath;
use crate::config::place::{Invalid, Place, all};

/// The most numbers of one check.
const MAX_VALUES: usize = 32;
/// The longest name of a number, in bytes.
const MAX_NAME: usize = 64;
/// The longest unit, in bytes.
const MAX_UNIT: usize = 32;

/// A number to take out of a JSON body, as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractOptions {
    /// Where it is: a JSON path (RFC 9535) that leads to one number, one truth value (1 or 0) or one text that is a number.
    #[schemars(extend("examples" = ["$.metrics.latency_p95_ms"]))]
    pub path: Option<String>,
    /// What it is called, the label `name` of upkeep_http_extracted: a-z, 0-9 and _, at most 64; unique in the check.
    pub name: Option<String>,
    /// Its unit, the label `unit`, for people: ms, say. Default: none.
    pub unit: Option<String>,
}

/// What to take out of a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extraction {
    /// Numbers.
    pub values: Vec<ExtractedValue>,
    /// Where the version of what answers is.
    pub version: Option<JsonPath>,
}

/// A number to take out of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtractedValue {
    /// Where it is.
    pub path: JsonPath,
    /// What it is called.
    pub name: String,
    /// Its unit; empty where nothing is said.
    pub unit: String,
}

impl Extraction {
    /// What the keys `extract` and `extract_version` of the mapping at `place` say.
    ///
    /// # Errors
    /// Reported at these keys.
    pub(super) fn resolve(
        place: &Place<'_>,
        values: Vec<ExtractOptions>,
        version: Option<&str>,
    ) -> Result<Self, Invalid> {
        let here = place.field("extract");
        let bounded = match values.len() {
            0..=MAX_VALUES => Ok(()),
            many => Err(here.error(format_args!(
                "{many} values are too many: a check takes {MAX_VALUES} out of a body"
            ))),
        };
        let mut names = HashMap::new();
        let values = values
            .into_iter()
            .take(MAX_VALUES)
            .enumerate()
            .map(|(index, options)| {
                let place = here.index(index);
                let value = options.resolve(&place)?;
                match names.insert(value.name.clone(), index) {
                    None => Ok(value),
                    Some(first) => {
                        let name = &value.name;
                        let message = format_args!(
                            "{name} is the name of extract[{first}] too: names are unique in a check"
                        );
                        Err(place.field("name").error(message))
                    }
                }
            });
        let values = all(values);
        let version = version
            .map(|source| json_path(&place.field("extract_version"), source))
            .transpose();
        bounded?;
        Ok(Self {
            values: values?,
            version: version?,
        })
    }

    /// Whether there is nothing to take, so that the body need not be kept.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.version.is_none()
    }

    /// The paths.
    pub fn paths(&self) -> impl Iterator<Item = &JsonPath> {
        self.values.iter().map(|value| &value.path).chain(&self.version)
    }
}

impl ExtractOptions {
    fn resolve(self, place: &Place<'_>) -> Result<ExtractedValue, Invalid> {
        let path =
            match &self.path {
                Some(source) => json_path(&place.field("path"), source),
                None => Err(place
                    .error("path is missing: say where the number is, as in path: $.metrics.latency_p95_ms")),
            };
        let name = match self.name {
            None => {
                Err(place.error("name is missing: say what the number is called, as in name: latency_p95"))
            }
            Some(name) if is_name(&name) => Ok(name),
            Some(_) => Err(place.field("name").error(format_args!(
                "this is not a name: write a-z, 0-9 and _ only, at most {MAX_NAME}, such as latency_p95"
            ))),
        };
        let unit = self.unit.unwrap_or_default();
        let unit = match unit.len() <= MAX_UNIT && unit.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(unit),
            false => Err(place.field("unit").error(format_args!(
                "this is not a unit: write at most {MAX_UNIT} ASCII characters without spaces, such as ms"
            ))),
        };
        Ok(ExtractedValue {
            path: path?,
            name: name?,
            unit: unit?,
        })
    }
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn json_path(place: &Place<'_>, source: &str) -> Result<JsonPath, Invalid> {
    JsonPath::new(source).map_err(|error| {
        place.error(format_args!(
            "this is not a JSON path that leads to one value: {error}; write one such as $.metrics.latency_p95_ms"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;

    fn resolve(values: Value, version: Option<&str>) -> Result<Extraction, Vec<String>> {
        let findings = RefCell::default();
        let values = serde_json::from_value(values).unwrap();
        Extraction::resolve(&Place::root(&findings), values, version).map_err(|Invalid| {
            let findings = findings.take();
            findings
                .iter()
                .map(|f| format!("{}: {}", f.path, f.message))
                .collect()
        })
    }

    #[test]
    fn numbers_have_a_path_a_name_and_perhaps_a_unit() {
        let nothing = resolve(json!([]), None).unwrap();
        assert!(nothing.is_empty());
        let values = json!([{"path": "$.a", "name": "a_1", "unit": "req/s"}, {"path": "$.b", "name": "b"}]);
        let extraction = resolve(values, Some("$.version")).unwrap();
        let told: Vec<_> = extraction
            .values
            .iter()
            .map(|value| (value.path.as_str(), value.name.as_str(), value.unit.as_str()))
            .collect();
        assert_eq!(told, [("$.a", "a_1", "req/s"), ("$.b", "b", "")]);
        let paths: Vec<_> = extraction.paths().map(JsonPath::as_str).collect();
        assert_eq!(paths, ["$.a", "$.b", "$.version"]);
        assert!(!resolve(json!([]), Some("$.version")).unwrap().is_empty());
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let right = "write one such as $.metrics.latency_p95_ms";
        let name = "this is not a name: write a-z, 0-9 and _ only, at most 64, such as latency_p95";
        let unit = "this is not a unit: write at most 32 ASCII characters without spaces, such as ms";
        for (values, faults) in [
            (
                json!([{}]),
                vec![
                    "extract[0]: path is missing: say where the number is, as in path: $.metrics.latency_p95_ms".to_owned(),
                    "extract[0]: name is missing: say what the number is called, as in name: latency_p95".to_owned(),
                ],
            ),
            (
                json!([{"path": "$.a", "name": "a"}, {"path": "$.b", "name": "b"}, {"path": "$.c", "name": "a"}]),
                vec!["extract[2].name: a is the name of extract[0] too: names are unique in a check".to_owned()],
            ),
            (
                json!([{"path": "$..*..*", "name": "a"}]),
                vec![format!(
                    "extract[0].path: this is not a JSON path that leads to one value: `..` may stand in it once; {right}"
                )],
            ),
            (
                json!([{"path": "$.a", "name": "A"}, {"path": "$.a", "name": ""}, {"path": "$.a", "name": "a".repeat(65)}]),
                (0..3).map(|index| format!("extract[{index}].name: {name}")).collect(),
            ),
            (
                json!([{"path": "$.a", "name": "a", "unit": "per second"}, {"path": "$.a", "name": "b", "unit": "x".repeat(33)}]),
                (0..2).map(|index| format!("extract[{index}].unit: {unit}")).collect(),
            ),
        ] {
            assert_eq!(resolve(values, None), Err(faults));
        }
        let faults = resolve(json!([]), Some("version")).unwrap_err();
        assert!(
            faults[0].starts_with(
                "extract_version: this is not a JSON path that leads to one value: it begins with $, the document; "
            ),
            "{faults:?}"
        );
        let many: Vec<_> = (0..33)
            .map(|index| json!({"path": "$.a", "name": format!("n{index}")}))
            .collect();
        assert_eq!(resolve(json!(many[..32]), None).unwrap().values.len(), 32);
        assert_eq!(
            resolve(json!(many), None),
            Err(vec![
                "extract: 33 values are too many: a check takes 32 out of a body".to_owned()
            ])
        );
    }
}
