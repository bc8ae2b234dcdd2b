//! Receipts and events in our own forms, as they are posted to the tracker.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::providers::post(bytes));
