//! Receipts of message centres, in whatever form.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::providers::receipt(bytes));
