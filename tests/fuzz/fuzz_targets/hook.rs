//! What providers post, each on its own protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::providers::hook(bytes));
