//! The `upkeep_exporter` binary.

#![forbid(unsafe_code)]

fn main() {
    println!("upkeep_exporter {}", env!("CARGO_PKG_VERSION"));
}
