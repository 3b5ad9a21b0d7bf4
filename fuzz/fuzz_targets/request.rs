//! What the exporter's own server reads of a request.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::request(input));
