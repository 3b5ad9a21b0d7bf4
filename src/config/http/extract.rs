//! The values that an http check extracts from a JSON body: numbers, and the version of the service.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::json_path::JsonPath;
use crate::config::place::{Invalid, Place, all};
use crate::config::schema_scalars::ANY_SCALAR;

/// The maximum number of extracted numbers of one check.
const MAX_VALUES: usize = 32;
/// The longest name of a number, in bytes.
const MAX_NAME: usize = 64;
/// The longest unit, in bytes.
const MAX_UNIT: usize = 32;

/// A number to extract from a JSON body.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractOptions {
    /// JSON path (RFC 9535) to one number, one boolean (1 or 0) or one text with a number.
    #[schemars(extend("examples" = ["$.metrics.latency_p95_ms"]))]
    pub path: Option<String>,
    /// Label name of upkeep_http_extracted: at most 64 characters of a-z, 0-9 and _; unique in the check.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,64}$"), extend("$comment" = ANY_SCALAR))]
    pub name: Option<String>,
    /// Label unit of upkeep_http_extracted, such as ms. Default: empty.
    pub unit: Option<String>,
}

/// The values to extract from a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extraction {
    /// The numbers.
    pub values: Vec<ExtractedValue>,
    /// The path of the service's version.
    pub version: Option<JsonPath>,
}

/// A number to extract from a body.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtractedValue {
    /// The path.
    pub path: JsonPath,
    /// The name.
    pub name: String,
    /// The unit; empty without one.
    pub unit: String,
}

impl Extraction {
    /// Resolves the keys `extract` and `extract_version` of the mapping at `place`.
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
                "{many} values, but a check can extract at most {MAX_VALUES}: remove some"
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
                        let message =
                            format_args!("{name} is also the name of extract[{first}]: use a unique name");
                        Err(place.field("name").error(message))
                    }
                }
            });
        let values = all(values);
        let version = version
            .map(|source| place.field("extract_version").parse_json_path(source))
            .transpose();
        bounded?;
        Ok(Self {
            values: values?,
            version: version?,
        })
    }

    /// Whether there is nothing to extract, so that the body is not needed.
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
        let path = match &self.path {
            Some(source) => place.field("path").parse_json_path(source),
            None => Err(place.error(
                "path is missing: write the path of a number, such as path: $.metrics.latency_p95_ms",
            )),
        };
        let name = match self.name {
            None => Err(place.error("name is missing: write a name, such as name: latency_p95")),
            Some(name) if is_name(&name) => Ok(name),
            Some(_) => Err(place.field("name").error(format_args!(
                "not a name: write at most {MAX_NAME} characters of a-z, 0-9 and _, such as latency_p95"
            ))),
        };
        let unit = self.unit.unwrap_or_default();
        let unit = match unit.len() <= MAX_UNIT && unit.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(unit),
            false => Err(place.field("unit").error(format_args!(
                "not a unit: write at most {MAX_UNIT} ASCII characters without spaces, such as ms"
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests_support::resolve_at_root;

    fn resolve(values: Value, version: Option<&str>) -> Result<Extraction, Vec<String>> {
        let values = serde_json::from_value(values).unwrap();
        resolve_at_root(|root| Extraction::resolve(root, values, version))
    }

    #[test]
    fn a_number_has_a_path_a_name_and_an_optional_unit() {
        let nothing = resolve(json!([]), None).unwrap();
        assert!(nothing.is_empty());
        let values = json!([{"path": "$.a", "name": "a_1", "unit": "req/s"}, {"path": "$.b", "name": "b"}]);
        let extraction = resolve(values, Some("$.version")).unwrap();
        let resolved: Vec<_> = extraction
            .values
            .iter()
            .map(|value| (value.path.as_str(), value.name.as_str(), value.unit.as_str()))
            .collect();
        assert_eq!(resolved, [("$.a", "a_1", "req/s"), ("$.b", "b", "")]);
        let paths: Vec<_> = extraction.paths().map(JsonPath::as_str).collect();
        assert_eq!(paths, ["$.a", "$.b", "$.version"]);
        assert!(!resolve(json!([]), Some("$.version")).unwrap().is_empty());
    }

    #[test]
    fn every_error_is_reported_at_its_place() {
        let advice = "write a path such as $.metrics.latency_p95_ms";
        let name = "not a name: write at most 64 characters of a-z, 0-9 and _, such as latency_p95";
        let unit = "not a unit: write at most 32 ASCII characters without spaces, such as ms";
        for (values, errors) in [
            (
                json!([{}]),
                vec![
                    "extract[0]: path is missing: write the path of a number, such as path: $.metrics.latency_p95_ms".to_owned(),
                    "extract[0]: name is missing: write a name, such as name: latency_p95".to_owned(),
                ],
            ),
            (
                json!([{"path": "$.a", "name": "a"}, {"path": "$.b", "name": "b"}, {"path": "$.c", "name": "a"}]),
                vec!["extract[2].name: a is also the name of extract[0]: use a unique name".to_owned()],
            ),
            (
                json!([{"path": "$..*..*", "name": "a"}]),
                vec![format!(
                    "extract[0].path: not a JSON path to one value: more than one `..`; {advice}"
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
            assert_eq!(resolve(values, None), Err(errors));
        }
        let errors = resolve(json!([]), Some("version")).unwrap_err();
        assert!(
            errors[0].starts_with(
                "extract_version: not a JSON path to one value: a path begins with $, the document; "
            ),
            "{errors:?}"
        );
        let many: Vec<_> = (0..33)
            .map(|index| json!({"path": "$.a", "name": format!("n{index}")}))
            .collect();
        assert_eq!(resolve(json!(many[..32]), None).unwrap().values.len(), 32);
        assert_eq!(
            resolve(json!(many), None),
            Err(vec![
                "extract: 33 values, but a check can extract at most 32: remove some".to_owned()
            ])
        );
    }
}
