//! JSON paths (RFC 9535) that lead to one value of a document. What looking one up may cost is bounded: a path visits each
//! value of the document a few times at most, however it is written.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::pattern_cache::{self, Attempt};

/// The longest path, in bytes.
const MAX_SOURCE_BYTES: usize = 256;
/// The most pairs of parentheses: the parser tries several readings of each.
const MAX_PARENTHESES: usize = 4;
/// The most filters.
const MAX_FILTERS: usize = 2;

/// What the paths of one configuration may have together, in bytes of source; parsed, they take fifty times as much.
pub(super) const MAX_TOTAL_BYTES: usize = 512 << 10;
/// What is wrong with those over it.
pub(super) const OVER_TOTAL: &str = "the JSON paths of this file have more than 512 kB together: use fewer or shorter ones (equal ones count once)";

/// A parsed path, compared by its source.
#[derive(Clone)]
pub struct JsonPath {
    source: Arc<str>,
    path: Arc<serde_json_path::JsonPath>,
    is_singular: bool,
}

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("it is longer than {MAX_SOURCE_BYTES} bytes"));
        }
        pattern_cache::json_path(source, parse)
    }

    /// Its source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether it names one place, so that looking it up takes no search.
    pub fn is_singular(&self) -> bool {
        self.is_singular
    }

    /// The values that it leads to in `document`.
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

fn parse(source: &str) -> Attempt<JsonPath> {
    let parsed = Shape::of(source).bounded().and_then(|shape| {
        let path = serde_json_path::JsonPath::parse(source).map_err(|error| fault(source, &error))?;
        Ok(JsonPath {
            source: source.into(),
            path: Arc::new(path),
            is_singular: shape.is_singular(),
        })
    });
    Attempt {
        result: parsed,
        cost: source.len() + 16,
    }
}

/// The parser's own words are "parser error" for most of what can be wrong.
fn fault(source: &str, error: &serde_json_path::ParseError) -> String {
    // What is called a position is how many bytes were understood.
    match error.message() {
        _ if !source.starts_with('$') => "it begins with $, the document".to_owned(),
        "parser error" => format!(
            "it can't be understood from character {} on",
            error.position() + 1
        ),
        message => format!("at character {}, {message}", error.position() + 1),
    }
}

/// What a path has outside of its quoted names and texts: how often.
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
    /// Comparisons of the document with itself, which take as long at each value.
    constant: usize,
}

impl Shape {
    fn of(source: &str) -> Self {
        let mut shape = Self::default();
        let mut quote = None;
        let mut before = ' ';
        // What the operand begins with that is read, and the one before an operator.
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

    /// Refuses what could visit a value more often than a few times. RFC 9535 lets each part multiply what it is given:
    /// `$..*..*..*` takes hours on a document of 10 MB.
    fn bounded(self) -> Result<Self, String> {
        let many = self.descents + self.wildcards + self.slices > 0 || self.filters > 1;
        let wrong = if self.functions > 0 {
            "functions, such as length() and match(), are not supported"
        } else if self.commas > 0 {
            "several names, separated by commas, lead to several values: write one"
        } else if self.descents > 1 {
            "`..` may stand in it once"
        } else if self.roots > 1 && many {
            "a filter that compares with another part of the document (`$`) goes with names and indexes only, not with `..`, \
             `*`, slices or other filters"
        } else if self.constant > 0 {
            "a filter that compares the document (`$`) with itself says the same of each value: compare with `@`"
        } else if self.filters > MAX_FILTERS {
            "it has more than 2 filters"
        } else if self.parentheses > MAX_PARENTHESES {
            "it has more than 4 pairs of parentheses"
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
    use crate::config::pattern_cache::Compilation;

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
            let path = JsonPath::new(source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(json!(path.find(&document)), expected, "{source}");
            assert_eq!(path.is_singular(), is_singular, "{source}");
        }
    }

    #[test]
    fn what_is_no_path_or_costs_too_much_is_refused() {
        for (source, wrong) in [
            ("", "it begins with $"),
            ("version", "it begins with $"),
            ("$.a[", "from character 4 on"),
            ("$.a b", "from character 4 on"),
            ("$[?length(@.a) > 1]", "functions, such as length()"),
            ("$['a','b']", "several names"),
            ("$..*..*", "`..` may stand in it once"),
            ("$..[?@..a]", "`..` may stand in it once"),
            ("$.*[?@.a == $.b]", "goes with names and indexes only"),
            ("$[?$.*]", "goes with names and indexes only"),
            ("$[?$[?@.a]]", "goes with names and indexes only"),
            ("$.items[?$.a == $.b]", "compares the document (`$`) with itself"),
            (
                "$.items[?@.x && (@.y || $['a']!=$.b[0])]",
                "compares the document (`$`) with itself",
            ),
            ("$[?@.a][?@.b][?@.c]", "more than 2 filters"),
            ("$[?(((((@.a)))))]", "more than 4 pairs"),
        ] {
            let error = JsonPath::new(source).unwrap_err();
            assert!(
                error.contains(wrong) && !error.contains('\n'),
                "{source}: {error}"
            );
        }
        assert!(
            JsonPath::new(&format!("$.{}", "a".repeat(300)))
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
            let _ = JsonPath::new(&source);
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
            let path = JsonPath::new(source).unwrap_or_else(|error| panic!("{source}: {error}"));
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
    fn the_paths_of_one_configuration_are_bounded_together() {
        let compilation = Compilation::begin();
        let long = |index: usize| JsonPath::new(&format!("$.{}{index}", "a".repeat(200)));
        let first = long(0).unwrap();
        let error = (1..10_000).find_map(|index| long(index).err()).unwrap();
        assert_eq!(error, OVER_TOTAL);
        let again = long(0).expect("what is parsed already costs nothing");
        assert!(Arc::ptr_eq(&first.path, &again.path));
        drop(compilation);
        assert!(long(10_001).is_ok());
    }
}
