//! Campaign definitions.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::readers::campaign(text));
