//! Lets the JSON Schema accept the same spellings of scalars as the loader. Editors see the values of YAML 1.2: `yes` is a text for
//! them, and `123` is a number, also where a text is expected.

use serde_json::{Map, Value, json};

/// A comment for schemas of texts that may not be written as a number or a boolean. It is removed.
pub const TEXT_ONLY: &str = "not a number";

/// A comment for schemas of texts with a pattern that may be written as a number or a boolean. It is removed.
pub const ANY_SCALAR: &str = "any scalar";

/// The words that are booleans, where one is expected.
const BOOLEAN: &str = "^(true|True|TRUE|false|False|FALSE|yes|Yes|YES|on|On|ON|no|No|NO|off|Off|OFF)$";

/// The largest bound for which the pattern of quoted numbers is exact. Above it, the pattern would be longer than it is useful.
const MAX_EXACT: u64 = 1_000_000;

/// Adds the spellings to `schema` and everything in it.
pub fn accept_spellings(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    accept_scalars(keywords);
    keywords.remove("$comment");
    for (keyword, argument) in keywords {
        match (keyword.as_str(), argument) {
            ("properties" | "definitions" | "patternProperties", Value::Object(schemas)) => {
                schemas.values_mut().for_each(accept_spellings);
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(accept_spellings)
            }
            ("items" | "additionalItems" | "additionalProperties", schema) => accept_spellings(schema),
            _ => {}
        }
    }
}

fn accept_scalars(keywords: &mut Map<String, Value>) {
    let mut types: Vec<String> = match keywords.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(types)) => types
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => return,
    };
    let has = |types: &[String], name: &str| types.iter().any(|known| known == name);
    let comment = keywords
        .get("$comment")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if ["enum", "const"].iter().any(|word| keywords.contains_key(*word)) || comment == TEXT_ONLY {
        return;
    }
    if has(&types, "string") {
        let is_text = types
            .iter()
            .all(|name| matches!(name.as_str(), "string" | "null"));
        if is_text && !keywords.contains_key("pattern") || comment == ANY_SCALAR {
            types.extend(["number".to_owned(), "boolean".to_owned()]);
        }
    } else if has(&types, "boolean") {
        types.push("string".to_owned());
        keywords.insert("pattern".to_owned(), json!(BOOLEAN));
    } else if has(&types, "integer") || has(&types, "number") {
        types.push("string".to_owned());
        let largest = match keywords.get("format").and_then(Value::as_str) {
            Some("uint8") => Some(u64::from(u8::MAX)),
            Some("uint16") => Some(u64::from(u16::MAX)),
            Some("uint32") => Some(u64::from(u32::MAX)),
            _ => None,
        };
        if let Some(largest) = largest {
            keywords.entry("maximum").or_insert(json!(largest));
        }
        let is_whole = has(&types, "integer");
        keywords.insert("pattern".to_owned(), json!(quoted(is_whole, keywords)));
    }
    keywords.insert("type".to_owned(), json!(types));
}

/// The pattern of a quoted number.
fn quoted(is_whole: bool, keywords: &Map<String, Value>) -> String {
    let bound = |keyword: &str| keywords.get(keyword).and_then(Value::as_u64);
    let is_positive = bound("exclusiveMinimum") == Some(0);
    let digits = match (is_whole, bound("maximum")) {
        (false, Some(1)) if is_positive => "(0*1(\\.0+)?|0+\\.0*[1-9][0-9]*)".to_owned(),
        (false, _) if is_positive => "(0*[1-9][0-9]*(\\.[0-9]+)?|0+\\.0*[1-9][0-9]*)".to_owned(),
        (false, _) => "[0-9]+(\\.[0-9]+)?".to_owned(),
        (true, Some(maximum)) if maximum <= MAX_EXACT => {
            format!("0*({})", numbers(bound("minimum").unwrap_or(0), maximum))
        }
        (true, _) if bound("minimum") == Some(1) => "0*[1-9][0-9]*".to_owned(),
        (true, _) => "[0-9]+".to_owned(),
    };
    format!("^ *{digits} *$")
}

/// A regular expression for the whole numbers from `low` to `high`, without leading zeros.
fn numbers(low: u64, high: u64) -> String {
    let mut blocks = Vec::new();
    let mut start = low;
    while start <= high {
        // The largest block of numbers with the same beginning: 10 to 19, 100 to 199.
        let mut size = 1;
        while start >= size * 10 && start.is_multiple_of(size * 10) && high - start >= size * 10 - 1 {
            size *= 10;
        }
        let digit = start / size % 10;
        let more = (9 - digit).min((high - start + 1) / size - 1);
        let beginning = match start / size / 10 {
            0 => String::new(),
            beginning => beginning.to_string(),
        };
        let last = match more {
            0 => digit.to_string(),
            more => format!("[{digit}-{}]", digit + more),
        };
        let rest = match size.ilog10() {
            0 => String::new(),
            count => format!("[0-9]{{{count}}}"),
        };
        blocks.push(format!("{beginning}{last}{rest}"));
        start += size * (more + 1);
    }
    blocks.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_numbers_are_exact() {
        for (low, high) in [
            (0, 9),
            (0, 65_535),
            (1, 1000),
            (100, 999),
            (7, 4321),
            (0, 255),
            (5, 5),
        ] {
            let pattern = regex::Regex::new(&format!("^({})$", numbers(low, high))).unwrap();
            for number in 0..=70_000_u64 {
                let is_within = (low..=high).contains(&number);
                assert_eq!(
                    pattern.is_match(&number.to_string()),
                    is_within,
                    "{number} in {low} to {high}"
                );
            }
        }
    }

    #[test]
    fn every_spelling_gets_a_type() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "type": { "type": ["string", "null"] },
                "port": { "type": "integer", "format": "uint16", "minimum": 1 },
                "on": { "type": "boolean" },
                "word": { "type": "string", "enum": ["a"] },
                "names": { "type": "array", "items": { "type": "string", "$comment": TEXT_ONLY } },
            },
        });
        accept_spellings(&mut schema);
        let properties = &schema["properties"];
        assert_eq!(
            properties["type"]["type"],
            json!(["string", "null", "number", "boolean"])
        );
        assert_eq!(properties["port"]["type"], json!(["integer", "string"]));
        assert_eq!(properties["port"]["maximum"], json!(65_535));
        assert_eq!(properties["on"]["type"], json!(["boolean", "string"]));
        assert_eq!(properties["word"]["type"], json!("string"));
        assert_eq!(properties["names"]["items"], json!({ "type": "string" }));
    }
}
