//! Answers of targets that are bytes.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::packets(input));
