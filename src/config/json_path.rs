//! JSON paths (RFC 9535) that lead to one value of a document. The cost of a lookup is limited: every path that is accepted
//! visits each value of the document at most a few times.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The longest path, in bytes.
const MAX_SOURCE_BYTES: usize = 256;
/// The maximum number of pairs of parentheses: the parser tries several interpretations of each.
const MAX_PARENTHESES: usize = 4;
/// The maximum number of filters.
const MAX_FILTERS: usize = 2;
/// The cost of a path in addition to its length, in bytes of source.
const ENTRY_COST: usize = 16;

/// The maximum number of bytes of source of all paths of one configuration. Parsed paths take fifty times as much.
pub(super) const MAX_TOTAL_BYTES: usize = 512 << 10;
/// The error for paths that exceed it.
pub(super) const OVER_TOTAL: &str = "the JSON paths of this file are longer than 512 KiB together: use fewer or shorter ones (equal ones count once)";

/// A parsed path, compared by its source. Cheap to clone.
#[derive(Clone)]
pub struct JsonPath {
    source: Arc<str>,
    path: Arc<serde_json_path::JsonPath>,
    is_singular: bool,
}

impl JsonPath {
    /// Parses a path. Returns its cost as well, in bytes of source.
    pub(super) fn parse(source: &str) -> (Result<Self, String>, usize) {
        if source.len() > MAX_SOURCE_BYTES {
            return (Err(format!("longer than {MAX_SOURCE_BYTES} bytes")), 0);
        }
        let parsed = Shape::of(source).check_limits().and_then(|shape| {
            let path = serde_json_path::JsonPath::parse(source).map_err(|error| describe(source, &error))?;
            Ok(Self {
                source: source.into(),
                path: Arc::new(path),
                is_singular: shape.is_singular(),
            })
        });
        (parsed, source.len() + ENTRY_COST)
    }

    /// The source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it has only names and indexes, so that a lookup needs no search.
    pub fn is_singular(&self) -> bool {
        self.is_singular
    }

    /// The values in `document` that match.
    pub fn find<'d>(&self, document: &'d Value) -> Vec<&'d Value> {
        self.path.query(document).all()
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonPath({})", self.source)
    }
}

impl PartialEq for JsonPath {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// Describes a parse error. The parser itself only says "parser error" for most mistakes.
fn describe(source: &str, error: &serde_json_path::ParseError) -> String {
    // The position is the number of bytes that were parsed.
    match error.message() {
        _ if !source.starts_with('$') => "a path begins with $, the document".to_owned(),
        "parser error" => format!("syntax error at character {}", error.position() + 1),
        message => format!("at character {}, {message}", error.position() + 1),
    }
}

/// The number of operators of a path, outside of quoted names and texts.
#[derive(Default)]
struct Shape {
    roots: usize,
    descents: usize,
    wildcards: usize,
    slices: usize,
    filters: usize,
    commas: usize,
    parentheses: usize,
    functions: usize,
    /// Comparisons of the document with itself, which are repeated at each value.
    constant: usize,
}

impl Shape {
    fn of(source: &str) -> Self {
        let mut shape = Self::default();
        let mut quote = None;
        let mut before = ' ';
        // The first character of the current operand, and of the one before a comparison.
        let (mut operand, mut left) = (' ', None);
        let mut characters = source.chars();
        while let Some(character) = characters.next() {
            match (quote, character) {
                (Some(_), '\\') => {
                    characters.next();
                }
                (Some(open), close) if open == close => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(character),
                (None, '$' | '@') => {
                    shape.roots += usize::from(character == '$');
                    shape.constant += usize::from(character == '$' && left == Some('$'));
                    (operand, left) = (character, None);
                }
                (None, '=' | '<' | '>') => left = left.or(Some(operand)),
                (None, '&' | '|') => (operand, left) = (' ', None),
                (None, '.') if before == '.' => shape.descents += 1,
                (None, '*') => shape.wildcards += 1,
                (None, ':') => shape.slices += 1,
                (None, '?') => {
                    shape.filters += 1;
                    (operand, left) = (' ', None);
                }
                (None, ',') => shape.commas += 1,
                (None, '(') => {
                    shape.parentheses += 1;
                    shape.functions += usize::from(before.is_ascii_alphanumeric() || before == '_');
                }
                (None, _) => {}
            }
            before = character;
        }
        shape
    }

    fn is_singular(&self) -> bool {
        self.descents + self.wildcards + self.slices + self.filters == 0
    }

    /// Rejects paths that could visit a value many times. In RFC 9535 each part multiplies the results of the one before:
    /// `$..*..*..*` takes hours on a document of 10 MB.
    fn check_limits(self) -> Result<Self, String> {
        let many = self.descents + self.wildcards + self.slices > 0 || self.filters > 1;
        let wrong = if self.functions > 0 {
            "functions, such as length() and match(), are not supported"
        } else if self.commas > 0 {
            "a list of names leads to several values: write one name"
        } else if self.descents > 1 {
            "more than one `..`"
        } else if self.roots > 1 && many {
            "a filter that refers to another part of the document (`$`) can't be combined with `..`, `*`, slices or other \
             filters: use names and indexes only"
        } else if self.constant > 0 {
            "a filter compares the document (`$`) with itself: compare with `@`"
        } else if self.filters > MAX_FILTERS {
            "more than 2 filters"
        } else if self.parentheses > MAX_PARENTHESES {
            "more than 4 pairs of parentheses"
        } else {
            return Ok(self);
        };
        Err(wrong.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::config::pattern_cache::PatternCache;

    fn parse(source: &str) -> Result<JsonPath, String> {
        JsonPath::parse(source).0
    }

    #[test]
    fn a_path_leads_to_values() {
        let document = json!({
            "version": "1.2", "a b": [10, 20], "active": "x",
            "models": [{"name": "x", "accuracy": 0.9}, {"name": "y, (z)", "accuracy": 0.8}]
        });
        for (source, is_singular, expected) in [
            ("$.version", true, json!(["1.2"])),
            ("$['a b'][-1]", true, json!([20])),
            ("$[\"a b\"][0]", true, json!([10])),
            ("$.none.at.all", true, json!([])),
            ("$.models[*].accuracy", false, json!([0.9, 0.8])),
            ("$..name", false, json!(["x", "y, (z)"])),
            ("$.models[?@.name == $.active].accuracy", false, json!([0.9])),
            ("$.models[?@.name == 'y, (z)'].accuracy", false, json!([0.8])),
            (
                "$.models[?(@.accuracy > 0.85) && !(@.name == 'y')].name",
                false,
                json!(["x"]),
            ),
            ("$['a b'][:1]", false, json!([10])),
            (
                "$.models[?@.name == $.active && $.version > @.none || @.accuracy == $['a b'][0] || $.active == @.name].accuracy",
                false,
                json!([0.9]),
            ),
        ] {
            let path = parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(json!(path.find(&document)), expected, "{source}");
            assert_eq!(path.is_singular(), is_singular, "{source}");
        }
    }

    #[test]
    fn invalid_and_expensive_paths_are_rejected() {
        for (source, wrong) in [
            ("", "a path begins with $"),
            ("version", "a path begins with $"),
            ("$.a[", "syntax error at character 4"),
            ("$.a b", "syntax error at character 4"),
            ("$[?length(@.a) > 1]", "functions, such as length()"),
            ("$['a','b']", "a list of names"),
            ("$..*..*", "more than one `..`"),
            ("$..[?@..a]", "more than one `..`"),
            ("$.*[?@.a == $.b]", "use names and indexes only"),
            ("$[?$.*]", "use names and indexes only"),
            ("$[?$[?@.a]]", "use names and indexes only"),
            ("$.items[?$.a == $.b]", "compares the document (`$`) with itself"),
            (
                "$.items[?@.x && (@.y || $['a']!=$.b[0])]",
                "compares the document (`$`) with itself",
            ),
            ("$[?@.a][?@.b][?@.c]", "more than 2 filters"),
            ("$[?(((((@.a)))))]", "more than 4 pairs"),
        ] {
            let error = parse(source).unwrap_err();
            assert!(
                error.contains(wrong) && !error.contains('\n'),
                "{source}: {error}"
            );
        }
        assert!(
            parse(&format!("$.{}", "a".repeat(300)))
                .unwrap_err()
                .contains("256 bytes")
        );
    }

    #[test]
    fn no_path_takes_long_to_parse() {
        for source in [
            format!("$[?{}@.a{}]", "!(".repeat(4), ")".repeat(4)),
            format!("$[?@[?{}@.a{}]]", "((".repeat(2), "))".repeat(2)),
            format!("$[?@.a{}]", " && @.a".repeat(30)),
            format!("$[?(((({}", "@.a||".repeat(45)),
            format!("${}", "[".repeat(255)),
            format!("${}", "[0]".repeat(85)),
            "$[?@[?".to_owned(),
            format!("$[?{}", "!".repeat(250)),
            format!("$['{}", "\\'".repeat(120)),
        ] {
            let begun = Instant::now();
            let _ = parse(&source);
            assert!(
                begun.elapsed() < Duration::from_secs(2),
                "{source}: {:?}",
                begun.elapsed()
            );
        }
    }

    #[test]
    fn no_path_takes_long_to_look_up() {
        // As deep as a document may be, and as wide.
        let mut deep = json!({"a": 1, "b": 2});
        for _ in 0..120 {
            deep = json!({"a": deep, "b": [1, 2, 3]});
        }
        let items: Vec<Value> = (0..60_000).map(|index| json!({"a": {"b": index}})).collect();
        let wide = json!({"a": 59_999, "items": items});
        for source in [
            "$..*",
            "$..a.a.a.a.a.a",
            "$..[?@.a]",
            "$..[?@.*]",
            "$[?@..b]",
            "$..[?@.a[?@.b]]",
            "$.items[?@.a.b == $.a].a",
            "$.items[?@.a == $.items]",
            "$.*.*.*.*.*.*.*",
            "$..[::-1]",
        ] {
            let path = parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            for document in [&deep, &wide] {
                let begun = Instant::now();
                path.find(document);
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "{source}: {:?}",
                    begun.elapsed()
                );
            }
        }
    }

    #[test]
    fn the_total_size_of_a_configuration_is_bounded() {
        let cache = PatternCache::default();
        let long = |index: usize| format!("$.{}{index}", "a".repeat(200));
        let first = cache.json_path(&long(0)).unwrap();
        let mut errors = (1..10_000).filter_map(|index| cache.json_path(&long(index)).err());
        assert_eq!(errors.next().unwrap(), OVER_TOTAL);
        let again = cache.json_path(&long(0)).expect("a cached path costs nothing");
        assert!(Arc::ptr_eq(&first.path, &again.path));
        assert!(parse(&long(10_001)).is_ok());
    }
}
