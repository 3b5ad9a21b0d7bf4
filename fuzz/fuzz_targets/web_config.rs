//! The web configuration file and the files that it names.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::web_config(input));
