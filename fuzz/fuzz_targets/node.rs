//! Files of Node.js projects, and ranges of versions.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::node(input));
