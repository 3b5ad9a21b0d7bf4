//! Tests of node checks: in environments made by npm, pnpm and yarn, and compared with what these report.

mod cost;
mod environments;
mod mending;
mod npm_ls;
mod obstacles;
mod other_managers;
mod semver;
mod support;
