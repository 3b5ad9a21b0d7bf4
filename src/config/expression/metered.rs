//! Metering: makes an expression use a budget while it is evaluated. The interpreter can't be stopped, but it calls our
//! functions: [`STEP`] wraps operations that take time, [`TAKE`] wraps values that take memory. Both return their argument.
//!
//! The interpreter copies the elements of lists and maps, and the results of `+` and of functions. Their size is subtracted
//! before or right after the copy. Each round of a loop and each operator is a step. Between two steps is one operation on
//! values in memory, which takes milliseconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators};
use cel::common::types::{CelBool, CelBytes, CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};
use cel::{Context, ExecutionError, FunctionContext};

use crate::config::budget::{Budget, Exhausted};
use crate::config::pattern::Pattern;

/// The function that takes a step. CEL's syntax does not allow such a name in an expression.
const STEP: &str = "@step";
/// The function that subtracts the size of its argument.
const TAKE: &str = "@take";
/// `matches` in RE2's syntax and within the budget.
const MATCHES: &str = "@matches";
/// The memory of a value in addition to its content, in bytes: a box, a slot in a list, a key.
const VALUE_BYTES: u64 = 64;
/// The maximum number of compiled patterns that one evaluation caches.
const MAX_PATTERNS: usize = 16;

/// The type of our functions.
type Native = Box<
    dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> + Send + Sync,
>;

/// Adds metering to an expression.
pub fn meter(expression: IdedExpr) -> IdedExpr {
    let IdedExpr { id, expr } = expression;
    let meter_by = match &expr {
        Expr::Call(call) if is_logic(&call.func_name) => None,
        Expr::Call(call) if is_operator(&call.func_name) && call.func_name != operators::ADD => Some(STEP),
        Expr::Call(_) => Some(TAKE),
        _ => None,
    };
    let expr = match expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => expr,
        // The interpreter looks up a qualified name as a whole.
        Expr::Select(select) if is_name(&select.operand.expr) => Expr::Select(select),
        Expr::Select(mut select) => {
            select.operand = Box::new(meter(*select.operand));
            Expr::Select(select)
        }
        Expr::Call(call) => Expr::Call(meter_call(call)),
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(meter_value).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            map.entries
                .iter_mut()
                .for_each(|entry| meter_entry(&mut entry.expr));
            Expr::Map(map)
        }
        Expr::Struct(mut object) => {
            object
                .entries
                .iter_mut()
                .for_each(|entry| meter_entry(&mut entry.expr));
            Expr::Struct(object)
        }
        Expr::Comprehension(loop_) => Expr::Comprehension(Box::new(meter_loop(*loop_))),
    };
    let metered = IdedExpr { id, expr };
    match meter_by {
        Some(function) => wrap(function, metered),
        None => metered,
    }
}

/// Adds metering to an expression, and subtracts the size of its value.
fn meter_value(expression: IdedExpr) -> IdedExpr {
    match meter(expression) {
        literal @ IdedExpr {
            expr: Expr::Literal(_),
            ..
        } => literal,
        call @ IdedExpr { .. } if matches!(&call.expr, Expr::Call(call) if call.func_name == TAKE) => call,
        other => wrap(TAKE, other),
    }
}

fn wrap(function: &str, expression: IdedExpr) -> IdedExpr {
    IdedExpr {
        id: expression.id,
        expr: Expr::Call(CallExpr {
            func_name: function.to_owned(),
            target: None,
            args: vec![expression],
        }),
    }
}

fn meter_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => field.value = meter_value(std::mem::take(&mut field.value)),
        EntryExpr::MapEntry(entry) => {
            entry.key = meter_value(std::mem::take(&mut entry.key));
            entry.value = meter_value(std::mem::take(&mut entry.value));
        }
    }
}

fn meter_call(mut call: CallExpr) -> CallExpr {
    let is_plain = is_logic(&call.func_name) || is_operator(&call.func_name);
    let part = |part: IdedExpr| match is_plain || is_name(&part.expr) && call.func_name == "size" {
        true => meter(part),
        false => meter_value(part),
    };
    let args: Vec<IdedExpr> = call.args.drain(..).map(part).collect();
    let target = call.target.take().map(|target| match is_name(&target.expr) {
        // The target may be the beginning of a function's qualified name.
        true => *target,
        false => meter_value(*target),
    });
    if call.func_name == "matches" && args.len() + usize::from(target.is_some()) == 2 {
        let args = target.into_iter().chain(args).collect();
        return CallExpr {
            func_name: MATCHES.to_owned(),
            target: None,
            args,
        };
    }
    CallExpr {
        target: target.map(Box::new),
        args,
        ..call
    }
}

/// Meters a loop without hiding from the interpreter which macro it comes from. `map` and `filter` append to a list: their
/// elements and conditions are metered. Other loops are metered at their loop condition.
fn meter_loop(mut loop_: ComprehensionExpr) -> ComprehensionExpr {
    loop_.iter_range = meter(loop_.iter_range);
    loop_.accu_init = meter(loop_.accu_init);
    loop_.result = meter(loop_.result);
    let accumulator = loop_.accu_var.clone();
    match loop_.loop_cond.expr {
        Expr::Literal(_) => loop_.loop_step = meter_append(loop_.loop_step, &accumulator),
        _ => {
            loop_.loop_cond = wrap(STEP, meter(loop_.loop_cond));
            loop_.loop_step = meter(loop_.loop_step);
        }
    }
    loop_
}

/// Meters `accumulator + [element]`, or a conditional with it.
fn meter_append(step: IdedExpr, accumulator: &str) -> IdedExpr {
    let is_accumulator = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name == accumulator);
    match step.expr {
        Expr::Call(mut call) if call.func_name == operators::CONDITIONAL && call.args.len() == 3 => {
            let otherwise = call.args.pop().unwrap_or_default();
            let then = call.args.pop().unwrap_or_default();
            let condition = call.args.pop().unwrap_or_default();
            call.args = vec![
                wrap(STEP, meter(condition)),
                meter_append(then, accumulator),
                meter(otherwise),
            ];
            IdedExpr {
                id: step.id,
                expr: Expr::Call(call),
            }
        }
        Expr::Call(mut call)
            if call.func_name == operators::ADD
                && call.args.len() == 2
                && is_accumulator(&call.args[0])
                && matches!(call.args[1].expr, Expr::List(_)) =>
        {
            let list = call.args.pop().unwrap_or_default();
            call.args.push(meter(list));
            IdedExpr {
                id: step.id,
                expr: Expr::Call(call),
            }
        }
        expr => meter_value(IdedExpr { id: step.id, expr }),
    }
}

/// Whether it is a name or a field of a name: `a.b.c`.
fn is_name(expr: &Expr) -> bool {
    match expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test && is_name(&select.operand.expr),
        _ => false,
    }
}

/// Whether the interpreter evaluates the operands itself, as of `&&`.
fn is_logic(function: &str) -> bool {
    [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::NOT_STRICTLY_FALSE,
        operators::INDEX,
        operators::OPT_INDEX,
        operators::OPT_SELECT,
    ]
    .contains(&function)
}

/// Whether it is an operator: operands are not copied, and the result is not larger than they are.
fn is_operator(function: &str) -> bool {
    function.starts_with(['_', '-', '@'])
}

/// Registers the functions for an evaluation.
///
/// # Errors
/// When the interpreter already has functions of these names.
pub fn declare(context: &mut Context<'_, '_>, budget: &Arc<Budget>) -> Result<(), String> {
    let own = Arc::clone(budget);
    let step: Native = Box::new(move |call| {
        own.step()
            .map_err(|Exhausted| call.error("the budget is exhausted"))?;
        call.args
            .pop()
            .ok_or_else(ExecutionError::missing_argument_or_target)
    });
    let own = Arc::clone(budget);
    let take: Native = Box::new(move |call| {
        let value = call
            .args
            .pop()
            .ok_or_else(ExecutionError::missing_argument_or_target)?;
        take(value.as_ref(), &own).map_err(|Exhausted| call.error("the budget is exhausted"))?;
        Ok(value)
    });
    let patterns: Mutex<HashMap<String, Pattern>> = Mutex::default();
    let own = Arc::clone(budget);
    let matches: Native = Box::new(move |call| {
        let text = |index: usize| {
            let value = call
                .args
                .get(index)
                .and_then(|value| value.downcast_ref::<CelString>());
            value.map(|text| text.inner().to_owned())
        };
        let (Some(text), Some(source)) = (text(0), text(1)) else {
            let arguments = call.args.iter().map(|value| value.get_type().name().to_owned());
            return Err(ExecutionError::no_such_overload("matches", arguments.collect()));
        };
        let mut patterns = patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if !patterns.contains_key(&source) {
            if patterns.len() >= MAX_PATTERNS {
                patterns.clear();
            }
            let pattern =
                Pattern::new(&source).map_err(|error| ExecutionError::function_error("matches", error))?;
            patterns.insert(source.clone(), pattern);
        }
        let found = patterns
            .get(&source)
            .map(|pattern| pattern.finds(text.as_bytes(), &own));
        match found {
            Some(Ok(found)) => Ok(CowVal::owned(CelBool::from(found))),
            _ => Err(call.error("the budget is exhausted")),
        }
    });
    context
        .add_function::<Native, Native>(STEP, step)
        .and_then(|()| context.add_function::<Native, Native>(TAKE, take))
        .and_then(|()| context.add_function::<Native, Native>(MATCHES, matches))
        .map_err(|error| error.to_string())
}

/// Subtracts the size of a value and of all its elements.
fn take(value: &dyn Val, budget: &Budget) -> Result<(), Exhausted> {
    let own = if let Some(text) = value.downcast_ref::<CelString>() {
        text.inner().len()
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        bytes.inner().len()
    } else {
        0
    };
    budget.take(own as u64 + VALUE_BYTES)?;
    if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner()
            .iter()
            .try_for_each(|value| take(value.as_ref(), budget))
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        map.inner().iter().try_for_each(|(key, value)| {
            take(key.inner(), budget)?;
            take(value.as_ref(), budget)
        })
    } else {
        Ok(())
    }
}
