//! Extracts numbers and the version from a JSON body. Pure functions. A missing value is only a warning, because the response
//! met the assertions.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::families::{EXTRACTED, VERSION_INFO};
use super::json::{self, Document};
use super::judge::{self, quote};
use crate::config::budget::{Budget, Exhausted};
use crate::config::expression::STACK_BYTES;
use crate::config::http::{Extraction, HttpSettings};
use crate::config::json_path::JsonPath;
use crate::model::{Problem, Reason, Sample, is_invisible};

/// The maximum length of a version, in characters. Longer ones are truncated.
const MAX_VERSION: usize = 64;
/// The number of values that the searches of a run may visit together: about a second of processor time.
const MAX_VISITS: u64 = 2_000_000;

/// The result of an extraction.
#[derive(Debug, Default, PartialEq)]
pub struct Extracted {
    /// The extracted values.
    pub samples: Vec<Sample>,
    /// All values that could not be extracted. The reason is that of the first one.
    pub warning: Option<Problem>,
}

/// Why a value can't be extracted: the reason and the message.
type ExtractError = (Reason, String);

/// Counts the paths that need a search, because they do not name a single location.
fn count_searches(extraction: &Extraction) -> u64 {
    extraction.paths().filter(|path| !path.is_singular()).count() as u64
}

/// Extracts all values. Reading the body and following one path visit every value of the body a few times and can't be
/// interrupted, so the budget is checked before each of them.
///
/// # Errors
/// If the budget is exhausted.
pub fn extract(extraction: &Extraction, bytes: &[u8], budget: &Budget) -> Result<Extracted, Exhausted> {
    if extraction.is_empty() {
        return Ok(Extracted::default());
    }
    budget.step()?;
    let document = match json::read::<Value>(bytes) {
        Ok(document) => document,
        Err(error) => {
            let message = format!(
                "nothing can be extracted because the body can't be read as JSON: {error}; it begins with {}",
                quote(bytes)
            );
            return Ok(Extracted {
                samples: Vec::new(),
                warning: Some(Problem::new(Reason::Assertion, message)),
            });
        }
    };
    let may_search = count_searches(extraction).saturating_mul(document.values) <= MAX_VISITS;
    let mut samples = Vec::new();
    let mut errors = Vec::new();
    for value in &extraction.values {
        let labels = || vec![Cow::Owned(value.name.clone()), Cow::Owned(value.unit.clone())];
        budget.step()?;
        match find_one(&value.path, &document, may_search).and_then(|found| number(&value.path, found)) {
            Ok(number) => samples.push(Sample {
                family: &EXTRACTED,
                labels: labels(),
                value: number,
            }),
            Err(error) => errors.push(error),
        }
    }
    if let Some(path) = &extraction.version {
        budget.step()?;
        match find_one(path, &document, may_search).and_then(|found| version(path, found)) {
            Ok(version) => samples.push(Sample {
                family: &VERSION_INFO,
                labels: vec![version.into()],
                value: 1.0,
            }),
            Err(error) => errors.push(error),
        }
    }
    let warning = errors.first().map(|(reason, _)| {
        let all: Vec<&str> = errors.iter().map(|(_, text)| text.as_str()).collect();
        Problem::new(*reason, format_args!("in the body, {}", all.join("; ")))
    });
    Ok(Extracted { samples, warning })
}

/// Finds the one value that a path matches.
fn find_one<'d>(
    path: &JsonPath,
    document: &'d Document<Value>,
    may_search: bool,
) -> Result<&'d Value, ExtractError> {
    let source = path.as_str();
    if !may_search && !path.is_singular() {
        let message =
            format!("{source} is not evaluated: the searches would visit more than {MAX_VISITS} values");
        return Err((Reason::Limit, message));
    }
    match path.find(&document.value)[..] {
        [value] => Ok(value),
        [] => Err((Reason::Missing, format!("{source} matches nothing"))),
        ref several => {
            let count = several.len();
            Err((
                Reason::Missing,
                format!("{source} matches {count} values instead of one"),
            ))
        }
    }
}

fn number(path: &JsonPath, value: &Value) -> Result<f64, ExtractError> {
    let number = match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    // Rust parses "inf" and "nan" as numbers; here they are texts.
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| wrong(path, value, "a number"))
}

fn version(path: &JsonPath, value: &Value) -> Result<String, ExtractError> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    match text.is_empty() {
        true => Err(wrong(path, value, "a version")),
        false => Ok(text.chars().map(to_visible).take(MAX_VERSION).collect()),
    }
}

fn to_visible(character: char) -> char {
    match is_invisible(character) {
        true => '\u{fffd}',
        false => character,
    }
}

fn wrong(path: &JsonPath, value: &Value, wanted: &str) -> ExtractError {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text {}", quote(text.as_bytes())),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    (
        Reason::Assertion,
        format!("{} is {found}, not {wanted}", path.as_str()),
    )
}

/// Evaluates a body and extracts values from it, like a run. For tests with arbitrary input.
///
/// # Errors
/// If it does not meet the assertions, or if a value can't be extracted.
#[doc(hidden)]
pub fn fuzz_parse(settings: &HttpSettings, body: &[u8]) -> Result<Vec<Sample>, String> {
    let judge = || judge::body(&settings.assertions, body, &Arc::new(Budget::ample()));
    // Evaluation needs a stack as large as that of the worker threads.
    let judged = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread
            .spawn_scoped(scope, judge)
            .map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "evaluating it panicked".to_owned())
    });
    let judged = judged?.map_err(|Exhausted| "it takes too much memory".to_owned())?;
    judged.map_err(|error| error.problem.to_string())?;
    let extracted = extract(&settings.extraction, body, &Budget::ample());
    let Extracted { samples, warning } = extracted.unwrap_or_default();
    warning.map_or(Ok(samples), |problem| Err(problem.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KindSettings;
    use crate::config::tests_support::check;

    fn extraction(keys: &str) -> Extraction {
        match check(&format!("kind: http, url: \"http://a/\", {keys}")).kind {
            KindSettings::Http(settings) => settings.extraction.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The labels and values, and the warning.
    fn extracted(keys: &str, body: &str) -> (Vec<(String, f64)>, Option<String>) {
        let Extracted { samples, warning } =
            extract(&extraction(keys), body.as_bytes(), &Budget::ample()).unwrap();
        let samples = samples
            .into_iter()
            .map(|sample| (sample.labels.join(","), sample.value));
        (samples.collect(), warning.map(|problem| problem.to_string()))
    }

    fn one_number(value: &str) -> Result<f64, String> {
        let body = format!(r#"{{"a": {value}}}"#);
        match extracted("extract: [{ path: $.a, name: a }]", &body) {
            (values, None) => Ok(values[0].1),
            (values, Some(warning)) if values.is_empty() => Err(warning),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_booleans_and_numeric_texts_are_extracted() {
        for (value, expected) in [
            ("12", 12.0),
            ("-0.5e3", -500.0),
            ("18446744073709551615", 18_446_744_073_709_551_615.0),
            ("true", 1.0),
            ("false", 0.0),
            ("\" 12.5 \"", 12.5),
        ] {
            assert_eq!(one_number(value), Ok(expected), "{value}");
        }
        for (value, found) in [
            ("null", "null"),
            ("\"fast\"", "the text \"fast\""),
            ("\"inf\"", "the text \"inf\""),
            ("\"NaN\"", "the text \"NaN\""),
            ("[1]", "a list"),
            ("{\"b\": 1}", "an object"),
        ] {
            let expected = format!("assertion: in the body, $.a is {found}, not a number");
            assert_eq!(one_number(value), Err(expected), "{value}");
        }
    }

    #[test]
    fn existing_values_are_extracted_although_others_are_missing() {
        let keys = "extract: [{ path: $.none, name: x }, { path: $.a, name: a, unit: ms }, { path: \"$.list[*]\", name: y }], \
                    extract_version: $.none.version";
        let (values, warning) = extracted(keys, r#"{"a": 1, "list": [1, 2, 3]}"#);
        assert_eq!(values, [("a,ms".to_owned(), 1.0)]);
        assert_eq!(
            warning.unwrap(),
            "missing: in the body, $.none matches nothing; $.list[*] matches 3 values instead of one; $.none.version matches \
             nothing"
        );
    }

    #[test]
    fn versions_are_short_texts_without_invisible_characters() {
        let version = |value: &str| extracted("extract_version: $.v", &format!(r#"{{"v": {value}}}"#));
        let label = |value: &str| version(value).0.remove(0).0;
        assert_eq!(version("\"1.2.3\""), (vec![("1.2.3".to_owned(), 1.0)], None));
        assert_eq!(label("3"), "3");
        assert_eq!(label(r#""a\nb""#), "a\u{fffd}b");
        assert_eq!(label(&format!("\"{}\"", "é".repeat(100))), "é".repeat(64));
        for (value, found) in [("\" \"", "the text \" \""), ("true", "true"), ("{}", "an object")] {
            let expected = format!("assertion: in the body, $.v is {found}, not a version");
            assert_eq!(version(value), (Vec::new(), Some(expected)));
        }
    }

    #[test]
    fn an_extraction_ends_with_its_budget() {
        let body = format!("[{} 0]", "{\"a\": {\"b\": 1}},".repeat(60_000));
        let path = |index: usize| format!("{{ path: \"$..[?@.a.b == {index}].none\", name: n{index} }}");
        let paths: Vec<String> = (2..12).map(path).collect();
        let extraction = extraction(&format!("extract: [{}]", paths.join(", ")));
        let extract = |milliseconds| {
            let time = std::time::Duration::from_millis(milliseconds);
            extract(&extraction, body.as_bytes(), &Budget::new(time, Arc::default()))
        };
        assert_eq!(extract(10), Err(Exhausted));
        let missing = extract(60_000).unwrap().warning.unwrap();
        assert_eq!(missing.reason, Reason::Missing);
    }

    #[test]
    fn a_body_that_is_not_json_is_a_warning() {
        let (values, warning) = extracted("extract_version: $.v", "<html>");
        let warning = warning.unwrap();
        assert!(values.is_empty());
        assert!(
            warning
                .starts_with("assertion: nothing can be extracted because the body can't be read as JSON: "),
            "{warning}"
        );
        assert!(warning.ends_with("it begins with \"<html>\""), "{warning}");
        let (_, warning) = extracted("extract_version: $.v", &format!("[{}0]", "0,".repeat(200_000)));
        assert!(warning.unwrap().contains("more than 200000 values"));
        assert_eq!(
            extracted("method: GET", "<html>"),
            (Vec::new(), None),
            "nothing is to be extracted"
        );
    }
}
