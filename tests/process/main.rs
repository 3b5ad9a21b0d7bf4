//! Process checks against real processes, against directories that look like /proc, and with few privileges.

// Helpers of tests panic like tests; clippy knows only the tests themselves.
#![allow(clippy::unwrap_used)]

mod fake;
mod kin;
mod privileges;
mod real;
mod real_odd;
mod scanner;
mod speed;
mod support;
