//! CEL expressions about a JSON document, which is their variable `body`. What one evaluation may cost is bounded: the
//! expression in length and depth, its evaluation by a budget.

mod metered;

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Program, Value};

use super::budget::{Budget, Exhausted};
use super::pattern_cache::{self, Attempt};

/// The longest expression, in bytes.
const MAX_SOURCE_BYTES: usize = 4096;
/// The deepest expression, in nested operands. Evaluation recurses, with up to 40 kB of stack a level (measured without
/// optimisation), of which metering makes up to three.
const MAX_DEPTH: usize = 64;
/// What is deeper needs a larger stack than threads have.
const LIGHT_DEPTH: usize = 8;
/// A stack that suffices for any.
pub const STACK_BYTES: usize = 64 << 20;
/// The parser recurses too, a dozen frames a bracket, before the depth is known.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// What compiling the expressions of one configuration may cost together, in bytes of source: at most 7 us each, so
/// under 3 s (measured as the tests build it).
pub(super) const MAX_TOTAL_COST: usize = 384 << 10;
/// What an expression costs beside its length: the thread that compiles it.
const THREAD_COST: usize = 16;
/// What is wrong with those over [`MAX_TOTAL_COST`].
pub(super) const OVER_TOTAL: &str = "the CEL expressions of this file have more than 384 kB together: use fewer or shorter ones (equal ones count once)";

/// A compiled expression, compared by its source.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    /// What is evaluated: the expression, metered.
    metered: Arc<IdedExpr>,
    depth: usize,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("an expression has at most {MAX_SOURCE_BYTES} bytes"));
        }
        pattern_cache::expression(source, compile_apart)
    }

    /// Its source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether evaluating it needs a stack of [`STACK_BYTES`].
    pub const fn is_deep(&self) -> bool {
        self.depth > LIGHT_DEPTH
    }

    /// Evaluates it with `body`. Blocks; see [`Self::is_deep`]. The inner error says that it fails, or yields something else than
    /// true or false.
    ///
    /// # Errors
    /// When the budget does not suffice.
    pub fn evaluate(&self, body: Value, budget: &Arc<Budget>) -> Result<Result<bool, String>, Exhausted> {
        budget.step()?;
        let mut context = Context::default();
        context.add_variable_from_value("body", body);
        if let Err(error) = metered::declare(&mut context, budget) {
            return Ok(Err(error));
        }
        let yielded = Value::resolve(&self.metered, &context);
        // Errors may have been put aside by what an operator needs only one side of.
        if budget.is_spent() {
            return Err(Exhausted);
        }
        Ok(match yielded {
            Ok(Value::Bool(verdict)) => Ok(verdict),
            Ok(other) => Err(format!(
                "it yields a value of type {}, not true or false",
                other.type_of()
            )),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Compiles on a thread that has the stack for it.
fn compile_apart(source: &str) -> Attempt<Expression> {
    let compiled = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("cel-compile".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn_scoped(scope, || compile(source))
            .map_err(|error| format!("starting the thread that compiles it: {error}"))?
            .join()
            .unwrap_or_else(|_| Err("the parser can't read it".to_owned()))
    });
    Attempt {
        result: compiled.map(|(metered, depth)| Expression {
            source: source.into(),
            metered: Arc::new(metered),
            depth,
        }),
        cost: source.len() + THREAD_COST,
    }
}

fn compile(source: &str) -> Result<(IdedExpr, usize), String> {
    let program = Program::compile(source).map_err(|errors| {
        let text = errors.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.trim_start_matches("ERROR: <input>:").to_owned()
    })?;
    let mut walk = Walk::default();
    walk.visit(program.expression(), 0)?;
    match walk
        .names
        .iter()
        .find(|name| *name != "body" && !walk.bound.contains(name))
    {
        Some(name) => Err(format!(
            "there is no variable \"{name}\": the document is \"body\""
        )),
        None => Ok((metered::meter(program.expression().clone()), walk.depth)),
    }
}

/// What is to be known about an expression before it is used.
#[derive(Default)]
struct Walk {
    depth: usize,
    names: Vec<String>,
    bound: Vec<String>,
}

impl Walk {
    fn visit(&mut self, node: &IdedExpr, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        self.depth = self.depth.max(depth);
        let depth = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.names.push(name.clone()),
            Expr::Select(select) => self.visit(&select.operand, depth)?,
            Expr::Call(call) => {
                for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
                    self.visit(part, depth)?;
                }
            }
            Expr::List(list) => {
                for part in &list.elements {
                    self.visit(part, depth)?;
                }
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), depth)?,
            Expr::Struct(object) => self.entries(object.entries.iter().map(|entry| &entry.expr), depth)?,
            Expr::Comprehension(loop_) => {
                self.bound
                    .extend([&loop_.iter_var, &loop_.accu_var].map(Clone::clone));
                self.bound.extend(loop_.iter_var2.clone());
                self.visit(&loop_.iter_range, depth)?;
                self.visit(&loop_.accu_init, depth)?;
                self.visit(&loop_.loop_cond, depth)?;
                self.visit(&loop_.loop_step, depth)?;
                self.visit(&loop_.result, depth)?;
            }
        }
        Ok(())
    }

    fn entries<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e EntryExpr>,
        depth: usize,
    ) -> Result<(), String> {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, depth)?,
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, depth)?;
                    self.visit(&entry.value, depth)?;
                }
            }
        }
        Ok(())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::config::pattern_cache::Compilation;

    /// The verdict, with all the time that it takes.
    fn verdict(expression: &Expression, body: Value) -> Result<bool, String> {
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
        ] {
            assert_eq!(
                verdict(&Expression::new(source).unwrap(), body()),
                expected,
                "{source}"
            );
        }
        let error = verdict(&Expression::new("body.status").unwrap(), body()).unwrap_err();
        assert_eq!(error, "it yields a value of type string, not true or false");
        let error = verdict(&Expression::new("body.absent == 1").unwrap(), body()).unwrap_err();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn faults_are_told_on_one_line() {
        let error = |source: &str| Expression::new(source).unwrap_err();
        assert_eq!(
            error("bdy.x == 1"),
            "there is no variable \"bdy\": the document is \"body\""
        );
        assert!(!error("body.x ==").contains('\n'));
        assert!(!error("").is_empty());
    }

    #[test]
    fn the_expressions_of_one_configuration_are_bounded_together() {
        let compilation = Compilation::begin();
        let long = |index: usize| Expression::new(&format!("body.a == '{}{index}'", "a".repeat(4000)));
        let first = long(0).unwrap();
        let error = (1..1000).find_map(|index| long(index).err()).unwrap();
        assert_eq!(error, OVER_TOTAL);
        let again = long(0).expect("what is compiled already costs nothing");
        assert!(Arc::ptr_eq(&first.metered, &again.metered));
        drop(compilation);
        assert!(long(1001).is_ok());
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
    fn the_deepest_ones_fit_their_stacks() {
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
            for (expression, stack) in [(deepest, STACK_BYTES), (light, 2 << 20)] {
                let thread = std::thread::Builder::new().stack_size(stack);
                let evaluated = thread
                    .spawn(move || verdict(&expression, Value::Null))
                    .unwrap()
                    .join()
                    .unwrap();
                assert_eq!(evaluated, Ok(true));
            }
        }
    }

    /// A document of this many items, each with a number of its own, and a list of numbers that none of them is in.
    fn document(items: u32) -> Value {
        let list = |from: u32, to: u32| {
            Value::from((from..to).map(|n| Value::Float(f64::from(n))).collect::<Vec<_>>())
        };
        let entries = [
            ("items", list(0, items)),
            ("others", list(items, 2 * items)),
            ("text", Value::from("x".repeat(items as usize).as_str())),
        ];
        Value::from(entries.into_iter().collect::<HashMap<_, _>>())
    }

    #[test]
    fn what_is_dear_ends_with_its_budget() {
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
    fn what_is_not_dear_is_evaluated_as_if_it_were_not_metered() {
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
                verdict(&Expression::new(source).unwrap(), document(10)),
                Ok(true),
                "{source}"
            );
        }
        let wrong = |source: &str| verdict(&Expression::new(source).unwrap(), document(10)).unwrap_err();
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
}
