//! What one load of a configuration has compiled: regular expressions, CEL expressions, JSON paths. Equal ones are shared, and
//! all of a language together are bounded, so that no file makes the loader slow or large.

use std::cell::RefCell;
use std::collections::HashMap;

use super::expression::{self, Expression};
use super::json_path::{self, JsonPath};
use super::pattern::{self, Compiled};

/// The expressions compiled while one configuration is loaded. It holds for the thread that loads, until it is dropped.
#[derive(Debug)]
pub struct Compilation(());

/// A compiled expression or what is wrong with it, and what finding that out has cost.
pub(super) struct Attempt<T> {
    pub result: Result<T, String>,
    pub cost: usize,
}

struct Load {
    patterns: Pool<Compiled>,
    expressions: Pool<Expression>,
    json_paths: Pool<JsonPath>,
}

/// The compiled expressions of one language, by source.
struct Pool<T> {
    compiled: HashMap<String, T>,
    budget: usize,
    over_budget: &'static str,
}

thread_local! {
    static LOAD: RefCell<Option<Load>> = const { RefCell::new(None) };
}

impl Compilation {
    /// Begins.
    pub fn begin() -> Self {
        let load = Load {
            patterns: Pool::new(pattern::MAX_TOTAL_BYTES, pattern::OVER_TOTAL),
            expressions: Pool::new(expression::MAX_TOTAL_COST, expression::OVER_TOTAL),
            json_paths: Pool::new(json_path::MAX_TOTAL_BYTES, json_path::OVER_TOTAL),
        };
        LOAD.with(|current| *current.borrow_mut() = Some(load));
        Self(())
    }
}

impl Drop for Compilation {
    fn drop(&mut self) {
        LOAD.with(|current| *current.borrow_mut() = None);
    }
}

/// The regular expression of this source, compiled by `compile` unless this load has it already.
pub(super) fn pattern(source: &str, compile: fn(&str) -> Attempt<Compiled>) -> Result<Compiled, String> {
    LOAD.with(|current| match current.borrow_mut().as_mut() {
        Some(load) => load.patterns.get(source, compile),
        None => compile(source).result,
    })
}

/// The CEL expression of this source, compiled by `compile` unless this load has it already.
pub(super) fn expression(
    source: &str,
    compile: fn(&str) -> Attempt<Expression>,
) -> Result<Expression, String> {
    LOAD.with(|current| match current.borrow_mut().as_mut() {
        Some(load) => load.expressions.get(source, compile),
        None => compile(source).result,
    })
}

/// The JSON path of this source, parsed by `parse` unless this load has it already.
pub(super) fn json_path(source: &str, parse: fn(&str) -> Attempt<JsonPath>) -> Result<JsonPath, String> {
    LOAD.with(|current| match current.borrow_mut().as_mut() {
        Some(load) => load.json_paths.get(source, parse),
        None => parse(source).result,
    })
}

impl<T: Clone> Pool<T> {
    fn new(budget: usize, over_budget: &'static str) -> Self {
        Self {
            compiled: HashMap::new(),
            budget,
            over_budget,
        }
    }

    /// Faulty ones cost too: looking at them takes as long.
    fn get(&mut self, source: &str, compile: fn(&str) -> Attempt<T>) -> Result<T, String> {
        if let Some(compiled) = self.compiled.get(source) {
            return Ok(compiled.clone());
        }
        if self.budget == 0 {
            return Err(self.over_budget.to_owned());
        }
        let Attempt { result, cost } = compile(source);
        self.budget = self.budget.saturating_sub(cost);
        let compiled = result?;
        self.compiled.insert(source.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs_three(source: &str) -> Attempt<String> {
        Attempt {
            result: match source {
                "bad" => Err("it is bad".to_owned()),
                _ => Ok(source.to_owned()),
            },
            cost: 3,
        }
    }

    #[test]
    fn equal_ones_are_compiled_once_and_faulty_ones_cost_too() {
        let mut pool = Pool::new(7, "too many");
        assert_eq!(pool.get("a", costs_three), Ok("a".to_owned()));
        let shared = pool.get("a", |_| unreachable!("it is there already"));
        assert_eq!(shared, Ok("a".to_owned()));
        assert_eq!(pool.get("bad", costs_three), Err("it is bad".to_owned()));
        assert_eq!(pool.get("b", costs_three), Ok("b".to_owned()));
        assert_eq!(pool.get("c", costs_three), Err("too many".to_owned()));
        assert_eq!(pool.get("a", costs_three), Ok("a".to_owned()));
    }
}
