//! CEL expressions about a JSON document, which is their variable `body`. What one evaluation may cost is bounded: the
//! expression in length and depth, its loops by [`Expression::cost`].

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Program, Value};

use super::compilation::{self, Attempt};

/// The longest expression, in bytes.
const MAX_SOURCE_BYTES: usize = 4096;
/// The deepest expression, in nested operands. Evaluation recurses, with up to 40 kB of stack a level (measured without
/// optimisation), so what is deeper than `LIGHT_DEPTH` is evaluated on a stack of its own.
const MAX_DEPTH: usize = 64;
const LIGHT_DEPTH: usize = 12;
const EVALUATION_STACK_BYTES: usize = 32 << 20;
/// The most loop steps of an evaluation that may run beside other tasks.
const LIGHT_COST: u64 = 10_000;
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
    program: Arc<Program>,
    /// How deep its loops (`all`, `exists`, `map`, `filter`) are nested.
    loops: u32,
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
        compilation::expression(source, compile_apart)
    }

    /// Its source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// An upper bound of the steps that its loops take over a document of `nodes` values.
    pub fn cost(&self, nodes: u64) -> u64 {
        nodes.max(1).saturating_pow(self.loops)
    }

    /// Whether evaluating it over `nodes` values is quick enough to be done between other tasks.
    pub fn is_light(&self, nodes: u64) -> bool {
        self.depth <= LIGHT_DEPTH && self.cost(nodes) <= LIGHT_COST
    }

    /// Evaluates it with `body`. Blocks; see [`Expression::is_light`].
    ///
    /// # Errors
    /// When it fails, or yields something else than true or false.
    pub fn evaluate(&self, body: Value) -> Result<bool, String> {
        if self.depth <= LIGHT_DEPTH {
            return self.evaluate_here(body);
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("cel-evaluate".to_owned())
                .stack_size(EVALUATION_STACK_BYTES)
                .spawn_scoped(scope, || self.evaluate_here(body))
                .map_err(|error| format!("starting the thread that evaluates it: {error}"))?;
            thread
                .join()
                .unwrap_or_else(|_| Err("the interpreter failed".to_owned()))
        })
    }

    fn evaluate_here(&self, body: Value) -> Result<bool, String> {
        let mut context = Context::default();
        context.add_variable_from_value("body", body);
        match self.program.execute(&context) {
            Ok(Value::Bool(verdict)) => Ok(verdict),
            Ok(other) => Err(format!(
                "it yields a value of type {}, not true or false",
                other.type_of()
            )),
            Err(error) => Err(error.to_string()),
        }
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
        result: compiled.map(|(program, walk)| Expression {
            source: source.into(),
            program: Arc::new(program),
            loops: walk.loops,
            depth: walk.depth,
        }),
        cost: source.len() + THREAD_COST,
    }
}

fn compile(source: &str) -> Result<(Program, Walk), String> {
    let program = Program::compile(source).map_err(|errors| {
        let text = errors.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.trim_start_matches("ERROR: <input>:").to_owned()
    })?;
    let mut walk = Walk::default();
    walk.visit(program.expression(), 0, 0)?;
    match walk
        .names
        .iter()
        .find(|name| *name != "body" && !walk.bound.contains(name))
    {
        Some(name) => Err(format!(
            "there is no variable \"{name}\": the document is \"body\""
        )),
        None => Ok((program, walk)),
    }
}

/// What is to be known about an expression before it is used.
#[derive(Default)]
struct Walk {
    loops: u32,
    depth: usize,
    names: Vec<String>,
    bound: Vec<String>,
}

impl Walk {
    fn visit(&mut self, node: &IdedExpr, depth: usize, loops: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        self.loops = self.loops.max(loops);
        self.depth = self.depth.max(depth);
        let depth = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.names.push(name.clone()),
            Expr::Select(select) => self.visit(&select.operand, depth, loops)?,
            Expr::Call(call) => {
                for part in call.target.iter().map(AsRef::as_ref).chain(&call.args) {
                    self.visit(part, depth, loops)?;
                }
            }
            Expr::List(list) => {
                for part in &list.elements {
                    self.visit(part, depth, loops)?;
                }
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), depth, loops)?,
            Expr::Struct(object) => {
                self.entries(object.entries.iter().map(|entry| &entry.expr), depth, loops)?
            }
            Expr::Comprehension(loop_) => {
                self.bound
                    .extend([&loop_.iter_var, &loop_.accu_var].map(Clone::clone));
                self.bound.extend(loop_.iter_var2.clone());
                self.visit(&loop_.iter_range, depth, loops)?;
                self.visit(&loop_.accu_init, depth, loops)?;
                self.visit(&loop_.loop_cond, depth, loops + 1)?;
                self.visit(&loop_.loop_step, depth, loops + 1)?;
                self.visit(&loop_.result, depth, loops)?;
            }
        }
        Ok(())
    }

    fn entries<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e EntryExpr>,
        depth: usize,
        loops: u32,
    ) -> Result<(), String> {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, depth, loops)?,
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, depth, loops)?;
                    self.visit(&entry.value, depth, loops)?;
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

    use super::*;
    use crate::config::compilation::Compilation;

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
        for (source, verdict) in [
            ("body.status == 'ok'", Ok(true)),
            ("body.count == 3 && body.count > 2.5", Ok(true)),
            ("body.items.exists(x, x > 5)", Ok(false)),
            ("has(body.absent)", Ok(false)),
        ] {
            assert_eq!(
                Expression::new(source).unwrap().evaluate(body()),
                verdict,
                "{source}"
            );
        }
        let error = Expression::new("body.status")
            .unwrap()
            .evaluate(body())
            .unwrap_err();
        assert_eq!(error, "it yields a value of type string, not true or false");
        let error = Expression::new("body.absent == 1")
            .unwrap()
            .evaluate(body())
            .unwrap_err();
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
        assert!(Arc::ptr_eq(&first.program, &again.program));
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
            let started = std::time::Instant::now();
            assert!(Expression::new(&deep).is_err(), "{}", &deep[..20]);
            assert!(started.elapsed().as_secs() < 5, "{}", &deep[..20]);
        }
    }

    #[test]
    fn the_deepest_one_fits_a_worker_s_stack() {
        let deepest = (1..MAX_DEPTH)
            .map(|depth| Expression::new(&format!("size({}{}) == 1", "[".repeat(depth), "]".repeat(depth))))
            .take_while(Result::is_ok)
            .last();
        let deepest = deepest.unwrap().unwrap();
        let looped = Expression::new(&format!("{}true{}", "[1].all(x, ".repeat(12), ")".repeat(12))).unwrap();
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let evaluate = move || (deepest.evaluate(Value::Null), looped.evaluate(Value::Null));
        let (deepest, looped) = thread.spawn(evaluate).unwrap().join().unwrap();
        assert_eq!(deepest, Ok(true));
        assert_eq!(looped, Ok(true));
    }

    #[test]
    fn nested_loops_multiply_the_cost() {
        let flat = Expression::new("body.items.all(x, x > 0) && body.items.all(x, x < 9)").unwrap();
        let nested = Expression::new("body.items.all(x, body.items.exists(y, x == y))").unwrap();
        assert_eq!((flat.cost(1000), nested.cost(1000)), (1000, 1_000_000));
        assert_eq!(Expression::new("body.count > 1").unwrap().cost(1000), 1);
    }
}
