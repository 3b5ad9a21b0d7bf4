//! What the exporter reads of a request of a job, and of its text.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::heartbeat(input));
