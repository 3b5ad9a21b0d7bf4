//! Tests of CEL expressions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::*;
use crate::config::pattern_cache::PatternCache;

/// Evaluates with an ample budget.
fn evaluate(expression: &Expression, body: Value) -> Result<bool, String> {
    expression.evaluate(body, &Arc::new(Budget::ample())).unwrap()
}

fn body() -> Value {
    let items = Value::from(vec![Value::Float(1.0), Value::Float(2.0)]);
    let entries = [
        ("status", Value::from("ok")),
        ("count", Value::Float(3.0)),
        ("items", items),
    ];
    Value::from(entries.into_iter().collect::<HashMap<_, _>>())
}

#[test]
fn evaluates_over_the_body() {
    for (source, expected) in [
        ("body.status == 'ok'", Ok(true)),
        ("body.count == 3 && body.count > 2.5", Ok(true)),
        ("body.items.exists(x, x > 5)", Ok(false)),
        ("has(body.absent)", Ok(false)),
        // Functions of the standard library on times, as in blackbox_exporter.
        (
            "timestamp('2026-01-02T03:04:05Z') - timestamp('2026-01-02T03:04:00Z') == duration('5s')",
            Ok(true),
        ),
        (
            "timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026 && body.count == 3",
            Ok(true),
        ),
    ] {
        assert_eq!(
            evaluate(&Expression::new(source).unwrap(), body()),
            expected,
            "{source}"
        );
    }
    let error = evaluate(&Expression::new("body.status").unwrap(), body()).unwrap_err();
    assert_eq!(error, "the result is of type string, not true or false");
    let error = evaluate(&Expression::new("body.absent == 1").unwrap(), body()).unwrap_err();
    assert!(error.contains("absent"), "{error}");
}

#[test]
fn errors_have_one_line() {
    let error = |source: &str| Expression::new(source).unwrap_err();
    assert_eq!(
        error("bdy.x == 1"),
        "unknown variable \"bdy\": the document is \"body\""
    );
    assert!(!error("body.x ==").contains('\n'));
    assert!(!error("").is_empty());
}

#[test]
fn the_total_size_of_a_configuration_is_bounded() {
    let cache = PatternCache::default();
    let long = |index: usize| format!("body.a == '{}{index}'", "a".repeat(4000));
    let first = cache.expression(&long(0)).unwrap();
    let mut errors = (1..1000).filter_map(|index| cache.expression(&long(index)).err());
    assert_eq!(errors.next().unwrap(), OVER_TOTAL);
    let again = cache
        .expression(&long(0))
        .expect("a cached expression costs nothing");
    assert!(Arc::ptr_eq(&first.metered, &again.metered));
    assert!(Expression::new(&long(1001)).is_ok());
}

#[test]
fn depth_and_length_are_bounded() {
    for deep in [
        format!("{}1{} == 1", "(".repeat(2000), ")".repeat(2000)),
        format!("true{}", " ? true : true".repeat(200)),
        format!("1{} == 1", " + 1".repeat(900)),
        format!("body{} == 1", ".a".repeat(1900)),
        format!("{}{}", "[".repeat(2000), "]".repeat(2000)),
        "true?".repeat(800) + "true" + &":true".repeat(600),
        format!("{}1 == 1", "1 - ".repeat(1000)),
        format!("{}1{}", "{1:".repeat(800), "}".repeat(800)),
        format!("{}true{}", "[1].all(x, ".repeat(90), ")".repeat(90)),
        "a".repeat(5000),
    ] {
        let started = Instant::now();
        assert!(Expression::new(&deep).is_err(), "{}", &deep[..20]);
        assert!(started.elapsed().as_secs() < 5, "{}", &deep[..20]);
    }
}

#[test]
fn the_deepest_expressions_fit_their_stacks() {
    let nested = |depth: usize| format!("size({}{}) == 1", "[".repeat(depth), "]".repeat(depth));
    let looped = |depth: usize| format!("{}true{}", "[1].all(x, ".repeat(depth), ")".repeat(depth));
    let added = |depth: usize| format!("{}1{} > 0", "(1 + ".repeat(depth), ")".repeat(depth));
    let shapes: [&dyn Fn(usize) -> String; 3] = [&nested, &looped, &added];
    for shape in shapes {
        let all: Vec<Expression> = (1..MAX_DEPTH)
            .map_while(|depth| Expression::new(&shape(depth)).ok())
            .collect();
        let deepest = all.last().unwrap().clone();
        let light = all.into_iter().rfind(|expression| !expression.is_deep()).unwrap();
        assert!(deepest.is_deep());
        // Other expressions run on any thread. The default stack of a thread has 2 MiB.
        for (expression, stack) in [(deepest, STACK_BYTES), (light, 2 << 20)] {
            let thread = std::thread::Builder::new().stack_size(stack);
            let evaluated = thread
                .spawn(move || evaluate(&expression, Value::Null))
                .unwrap()
                .join()
                .unwrap();
            assert_eq!(evaluated, Ok(true));
        }
    }
}

/// A document with this many distinct numbers, and a list of other numbers.
fn document(items: u32) -> Value {
    let list =
        |from: u32, to: u32| Value::from((from..to).map(|n| Value::Float(f64::from(n))).collect::<Vec<_>>());
    let entries = [
        ("items", list(0, items)),
        ("others", list(items, 2 * items)),
        ("text", Value::from("x".repeat(items as usize).as_str())),
    ];
    Value::from(entries.into_iter().collect::<HashMap<_, _>>())
}

#[test]
fn expensive_expressions_end_with_their_budget() {
    for source in [
        "body.items.all(x, !(x in body.others))",
        "body.items.all(x, body.others.all(y, x != y))",
        "body.items.exists_one(x, body.items.exists(y, x == y && x < 0.0))",
        "body.items.filter(x, x in body.others).size() == 0",
        "body.items.map(x, body.others).size() == 0",
        "body.items.map(x, body.others + body.others).size() == 0",
        "[body, body, body, body, body, body].map(x, [x, x, x, x, x, x, x, x]).size() == 0",
        "['xxxxxxxx'].map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x)\
         .map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x)\
         .map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x)\
         .map(x, x + x + x + x + x + x + x + x).map(x, x + x + x + x + x + x + x + x).size() == 0",
        "body.items.all(x, !body.text.matches('x{0,900}y{0,900}z'))",
        "body.items.exists(x, body.items.all(y, !(y in body.others))) || true",
    ] {
        let expression = Expression::new(&source.replace("\\\n", "")).unwrap();
        let budget = Arc::new(Budget::new(Duration::from_millis(300), Arc::default()));
        let (body, begun) = (document(30_000), Instant::now());
        assert_eq!(expression.evaluate(body, &budget), Err(Exhausted), "{source}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{source}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn metering_does_not_change_results() {
    for source in [
        "body.items.map(x, x + 1.0).filter(x, x > 3.0).size() == 7",
        "body.items.filter(x, x in body.others).size() == 0",
        "body.items.exists_one(x, x == 3.0) && body.items.exists(x, x > 8.0) && body.items.all(x, x < 10.0)",
        "body.items.map(x, x > 5.0, string(x)).size() == 4",
        "{'a': body.items}['a'][2] == 2.0 && [1, 2] + [3] == [1, 2, 3]",
        "body.text.matches('^x+$') && matches(body.text, 'x') && !body.text.matches('y')",
        "body.text.startsWith('xx') && body.text.size() == 10 && size(body.items) == 10",
        "has(body.items) && !has(body.none) && (has(body.none) ? body.none : 'a') + 'b' == 'ab'",
        "timestamp('2024-01-01T00:00:00Z') + duration('1h') == timestamp('2024-01-01T01:00:00Z')",
        "-int(body.items[1]) == -1 && int('7') % 4 == 3 && uint(7) / 2u == 3u && type(1) == type(2)",
        "dyn(1) == 1 && bytes('ab') == b'ab'",
        "body.items.all(x, 1.0 / x >= 0.0) || true",
    ] {
        assert_eq!(
            evaluate(&Expression::new(source).unwrap(), document(10)),
            Ok(true),
            "{source}"
        );
    }
    let wrong = |source: &str| evaluate(&Expression::new(source).unwrap(), document(10)).unwrap_err();
    assert!(
        wrong("body.items.matches('x')").contains("matches"),
        "{}",
        wrong("body.items.matches('x')")
    );
    assert!(
        wrong("body.text.matches('(')").contains("matches"),
        "{}",
        wrong("body.text.matches('(')")
    );
    assert!(wrong("body.items.all(x, body.none > x)").contains("none"));
}
