//! Price tables.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::readers::prices(text));
