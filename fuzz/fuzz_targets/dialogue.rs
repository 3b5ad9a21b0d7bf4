//! The dialogue of a tcp check, as written, and what the server sends in it.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::dialogue(input));
