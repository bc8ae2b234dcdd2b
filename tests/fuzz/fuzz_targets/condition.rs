//! Conditions in campaigns: read, compiled, and asked of a customer.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::readers::condition(text));
