//! Tokens of links, marks of return addresses, and pages whose links are led through the tracker.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::providers::link(text));
