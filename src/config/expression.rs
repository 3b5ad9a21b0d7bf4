//! CEL expressions over a JSON document, their variable `body`. The length and depth of an expression are limited, and a
//! budget limits its evaluation.

mod metered;

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Program, Value};

use super::budget::{Budget, Exhausted};

/// The longest expression, in bytes.
const MAX_SOURCE_BYTES: usize = 4096;
/// The deepest expression, in nested operands. Evaluation recurses and uses up to 40 kB of stack per level (measured without
/// optimisation); metering triples the levels at most.
const MAX_DEPTH: usize = 64;
/// Deeper expressions need a larger stack than threads have by default.
const LIGHT_DEPTH: usize = 8;
/// A stack that is large enough for any expression.
pub const STACK_BYTES: usize = 64 << 20;
/// The parser recurses before the depth is known, a dozen frames per bracket.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// The maximum number of bytes of source of all expressions of one configuration. Compiling takes at most 7 us per byte
/// (measured in a test build), so less than 3 s together.
pub(super) const MAX_TOTAL_COST: usize = 384 << 10;
/// The cost of the thread that compiles an expression, in bytes of source.
const THREAD_COST: usize = 16;
/// The error for expressions over [`MAX_TOTAL_COST`].
pub(super) const OVER_TOTAL: &str = "the CEL expressions of this file are longer than 384 KiB together: use fewer or shorter ones (equal ones count once)";

/// A compiled expression, compared by its source. Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    /// The expression to evaluate, with metering.
    metered: Arc<IdedExpr>,
    depth: usize,
}

impl Expression {
    /// Compiles an expression outside of a configuration, without its cache and its limit.
    ///
    /// # Errors
    /// A description of the mistake in the expression, on one line.
    pub fn new(source: &str) -> Result<Self, String> {
        Self::compile(source).0
    }

    /// Compiles an expression. Returns its cost as well, in bytes of source.
    pub(super) fn compile(source: &str) -> (Result<Self, String>, usize) {
        if source.len() > MAX_SOURCE_BYTES {
            return (Err(format!("longer than {MAX_SOURCE_BYTES} bytes")), 0);
        }
        let compiled = compile_on_thread(source).map(|(metered, depth)| Self {
            source: source.into(),
            metered: Arc::new(metered),
            depth,
        });
        (compiled, source.len() + THREAD_COST)
    }

    /// The source.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether evaluating it needs a stack of [`STACK_BYTES`].
    pub const fn is_deep(&self) -> bool {
        self.depth > LIGHT_DEPTH
    }

    /// Evaluates the expression with `body`. Blocks; see [`Self::is_deep`]. The inner error says that the evaluation failed or
    /// the result is not true or false.
    ///
    /// # Errors
    /// When the budget is exhausted.
    pub fn evaluate(&self, body: Value, budget: &Arc<Budget>) -> Result<Result<bool, String>, Exhausted> {
        budget.step()?;
        let mut context = Context::default();
        context.add_variable_from_value("body", body);
        if let Err(error) = metered::declare(&mut context, budget) {
            return Ok(Err(error));
        }
        let yielded = Value::resolve(&self.metered, &context);
        // `||` and `&&` drop the error of one operand if the other one decides.
        if budget.is_spent() {
            return Err(Exhausted);
        }
        Ok(match yielded {
            Ok(Value::Bool(verdict)) => Ok(verdict),
            Ok(other) => Err(format!(
                "the result is of type {}, not true or false",
                other.type_of()
            )),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Compiles on a thread with a large stack.
fn compile_on_thread(source: &str) -> Result<(IdedExpr, usize), String> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("cel-compile".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn_scoped(scope, || compile(source))
            .map_err(|error| format!("starting the compiler thread: {error}"))?
            .join()
            .unwrap_or_else(|_| Err("the CEL parser failed".to_owned()))
    })
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
        Some(name) => Err(format!("unknown variable \"{name}\": the document is \"body\"")),
        None => Ok((metered::meter(program.expression().clone()), walk.depth)),
    }
}

/// Collects the depth and the variables of an expression.
#[derive(Default)]
struct Walk {
    depth: usize,
    names: Vec<String>,
    bound: Vec<String>,
}

impl Walk {
    fn visit(&mut self, node: &IdedExpr, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
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
mod tests;
