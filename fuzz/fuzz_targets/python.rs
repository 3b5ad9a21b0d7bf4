//! Requirements of Python projects, and metadata of installed packages.

#![no_main]

#[path = "../../tests/fuzz_found/properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::python(input));
