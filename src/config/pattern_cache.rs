//! The patterns that one load of a configuration has compiled: regular expressions, CEL expressions and JSON paths. Equal
//! patterns are shared, and each language has a budget per configuration, so that no file makes the loader slow or large.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use super::expression::{self, Expression};
use super::json_path::{self, JsonPath};
use super::pattern::{self, Pattern};

/// The compiled patterns of one configuration.
pub(super) struct PatternCache {
    patterns: RefCell<Pool<Pattern>>,
    expressions: RefCell<Pool<Expression>>,
    json_paths: RefCell<Pool<JsonPath>>,
}

/// The compiled patterns of one language, by source.
struct Pool<T> {
    compiled: HashMap<String, T>,
    budget: usize,
    over_budget: &'static str,
}

impl PatternCache {
    /// The regular expression with this source.
    pub fn pattern(&self, source: &str) -> Result<Pattern, String> {
        self.patterns.borrow_mut().get(source, Pattern::compile)
    }

    /// The CEL expression with this source.
    pub fn expression(&self, source: &str) -> Result<Expression, String> {
        self.expressions.borrow_mut().get(source, Expression::compile)
    }

    /// The JSON path with this source.
    pub fn json_path(&self, source: &str) -> Result<JsonPath, String> {
        self.json_paths.borrow_mut().get(source, JsonPath::parse)
    }
}

impl Default for PatternCache {
    fn default() -> Self {
        Self {
            patterns: Pool::new(pattern::MAX_TOTAL_BYTES, pattern::OVER_TOTAL).into(),
            expressions: Pool::new(expression::MAX_TOTAL_COST, expression::OVER_TOTAL).into(),
            json_paths: Pool::new(json_path::MAX_TOTAL_BYTES, json_path::OVER_TOTAL).into(),
        }
    }
}

impl fmt::Debug for PatternCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatternCache").finish_non_exhaustive()
    }
}

impl<T: Clone> Pool<T> {
    fn new(budget: usize, over_budget: &'static str) -> Self {
        Self {
            compiled: HashMap::new(),
            budget,
            over_budget,
        }
    }

    /// Returns the cached pattern, or compiles it and subtracts the cost from the budget. Invalid patterns cost as much as
    /// valid ones, because they take as long to compile.
    fn get(
        &mut self,
        source: &str,
        compile: impl FnOnce(&str) -> (Result<T, String>, usize),
    ) -> Result<T, String> {
        if let Some(compiled) = self.compiled.get(source) {
            return Ok(compiled.clone());
        }
        if self.budget == 0 {
            return Err(self.over_budget.to_owned());
        }
        let (result, cost) = compile(source);
        self.budget = self.budget.saturating_sub(cost);
        let compiled = result?;
        self.compiled.insert(source.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile_at_cost_three(source: &str) -> (Result<String, String>, usize) {
        let result = match source {
            "bad" => Err("it is bad".to_owned()),
            _ => Ok(source.to_owned()),
        };
        (result, 3)
    }

    #[test]
    fn equal_patterns_compile_once_and_invalid_ones_cost_too() {
        let mut pool = Pool::new(7, "too many");
        assert_eq!(pool.get("a", compile_at_cost_three), Ok("a".to_owned()));
        let shared = pool.get("a", |_| unreachable!("it is cached"));
        assert_eq!(shared, Ok("a".to_owned()));
        assert_eq!(
            pool.get("bad", compile_at_cost_three),
            Err("it is bad".to_owned())
        );
        assert_eq!(pool.get("b", compile_at_cost_three), Ok("b".to_owned()));
        assert_eq!(pool.get("c", compile_at_cost_three), Err("too many".to_owned()));
        assert_eq!(pool.get("a", compile_at_cost_three), Ok("a".to_owned()));
    }
}
