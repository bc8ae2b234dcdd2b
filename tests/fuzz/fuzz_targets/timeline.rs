//! Timelines: read, and lived through.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::readers::timeline(text));
