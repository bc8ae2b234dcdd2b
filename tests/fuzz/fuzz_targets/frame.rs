//! Frames of message centres, and what customers and receipts say in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::providers::frame(bytes));
