//! Starts, stops and restarts services in the order of their dependencies: [`Plan`] decides what to do when, and [`execute()`]
//! does it.

mod execute;
mod plan;

pub use execute::{StepResult, execute};
pub use plan::{Plan, Step, targets_of};
