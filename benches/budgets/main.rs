//! The project's budgets, measured beside the peers in one run: `cargo bench --bench budgets [-- [ROW...] [--strict]]`.
//!
//! Each row starts real programs on free loopback ports, with their files in a temporary directory, and ends them again
//! by their ids. See docs/BENCHMARKS.md for how each figure comes about.
#![forbid(unsafe_code)]

mod bare_client;
mod blackbox;
mod client;
// The servers of the tests are those of the benchmark.
#[path = "../../tests/common/mod.rs"]
mod common;
mod exporter;
mod exposition;
mod lag;
mod process;
mod report;
mod roles;
mod rows;
mod target;
mod wrk;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};

use report::Line;
use rows::ROWS;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, rest @ ..] = arguments.as_slice()
        && flag == roles::FLAG
    {
        return roles::play(rest);
    }
    let strict = arguments.iter().any(|argument| argument == "--strict");
    // Cargo itself passes --bench.
    let chosen: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|name| !name.starts_with("--"))
        .collect();
    if let Some(unknown) = chosen
        .iter()
        .find(|name| !ROWS.iter().any(|row| row.name == **name))
    {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        bail!("there is no row {unknown}; the rows are {}", names.join(", "));
    }
    process::raise_open_files();

    let begun = Instant::now();
    let mut lines: Vec<Line> = Vec::new();
    let mut failed = false;
    for row in ROWS
        .iter()
        .filter(|row| chosen.is_empty() || chosen.contains(&row.name))
    {
        eprintln!("{}: {} ...", row.name, row.what);
        let directory = tempfile::Builder::new()
            .prefix("upkeep-bench-")
            .tempdir()
            .context("a temporary directory")?;
        // A panic in one row has been reported by then; what it started has ended.
        match catch_unwind(|| (row.measure)(directory.path())) {
            Ok(Ok(measured)) => lines.extend(measured),
            Ok(Err(error)) => {
                failed = true;
                eprintln!("{}: could not be measured: {error:#}", row.name);
            }
            Err(_) => failed = true,
        }
    }
    println!("{}", report::table(&lines));
    println!(
        "{} CPUs, {:.0} s in all",
        std::thread::available_parallelism()?,
        begun.elapsed().as_secs_f64()
    );
    let missed = lines.iter().any(|line| !line.is_met());
    Ok(if failed || (strict && missed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
